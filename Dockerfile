# One image for every role: `apps/<role>/src/main.ts` is the entry point of each, the API if none is named.
ARG NODE_IMAGE=docker.io/library/node:24.11.1-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY . .
# What runs, and nothing that tests or builds. The Node of the image takes the place of the one that the workspace brings.
RUN npm ci --omit=dev --omit=optional --ignore-scripts \
      --workspace @flotilla/api --workspace @flotilla/supervisor --workspace @flotilla/agent \
      --workspace @flotilla/metrics-adapter --workspace flotilla

FROM ${NODE_IMAGE}
# The young generation is that of packages/runtime/src/node-flags.ts, which `flotilla up` gives its processes.
ENV NODE_ENV=production \
    NODE_OPTIONS=--max-semi-space-size=64 \
    HOST=0.0.0.0 \
    FLOTILLA_DATA_DIR=/var/lib/flotilla
RUN mkdir -p /var/lib/flotilla && chown 10001:10001 /var/lib/flotilla
# Owned by root: what runs cannot change itself.
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD node infra/docker/health.mjs "${METRICS_PORT:-9090}" "${PORT:-8080}"
ENTRYPOINT ["node"]
CMD ["apps/api/src/main.ts"]
