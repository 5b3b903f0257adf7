import { Readable } from "node:stream";
import { ArtifactView, type BlobStore, type WorkflowStore } from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { callerOf } from "../authentication.ts";
import { found, idOf, WorkflowParams } from "./workflows.ts";

const ArtifactParams = WorkflowParams.extend({ name: z.string().min(1) });
const ArtifactList = z.object({ artifacts: z.array(ArtifactView) });

const mediaType = /^[\w.+-]+\/[\w.+-]+(; ?charset=[\w-]+)?$/;

/** What the artifact routes need. */
export interface ArtifactRoutes {
  store: Pick<WorkflowStore, "artifacts">;
  blobs: Pick<BlobStore, "get">;
}

/** The files that agents made. */
export function artifactRoutes(app: FastifyInstance, { store, blobs }: ArtifactRoutes): void {
  app.route({
    method: "GET",
    url: "/workflows/:id/artifacts",
    config: {
      doc: {
        id: "listArtifacts",
        summary: "List the files that agents made",
        params: WorkflowParams,
        answers: { 200: { description: "The files", content: { "application/json": ArtifactList } } },
        problems: ["not-found"],
      },
    },
    handler: async (request) => {
      const { id } = idOf(WorkflowParams, request.params);
      return { artifacts: found(await store.artifacts(callerOf(request).tenant, id)) };
    },
  });

  app.route({
    method: "GET",
    url: "/workflows/:id/artifacts/:name",
    config: {
      doc: {
        id: "getArtifact",
        summary: "Download a file that an agent made",
        params: ArtifactParams,
        answers: {
          200: {
            description: "The content, of the type that the agent gave it",
            content: { "application/octet-stream": z.string() },
            headers: { "Content-Disposition": "always an attachment" },
          },
        },
        problems: ["not-found"],
      },
    },
    handler: async (request, reply) => {
      const { id, name } = idOf(ArtifactParams, request.params);
      const artifacts = found(await store.artifacts(callerOf(request).tenant, id));
      const artifact = found(artifacts.findLast((made) => made.name === name));
      const content = found(await blobs.get(artifact.sha256));
      // Agents choose names, types and contents: a browser must neither guess another type nor run any of it.
      return reply
        .header(
          "content-type",
          mediaType.test(artifact.contentType) ? artifact.contentType : "application/octet-stream",
        )
        .header("content-length", artifact.bytes)
        .header("content-disposition", attachment(artifact.name))
        .header("content-security-policy", "default-src 'none'; sandbox")
        .send(Readable.from(content, { objectMode: false }));
    },
  });
}

/** `Content-Disposition` by RFC 6266: plain ASCII for everyone, the exact name for those who read RFC 8187. */
function attachment(name: string): string {
  const plain = name.replaceAll(/[^\w .-]/g, "_");
  const exact = encodeURIComponent(name.toWellFormed()).replaceAll(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16)}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${exact}`;
}
