import { resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { type TestApi, testApi } from "./api.ts";

const file = resolve(import.meta.dirname, "../../../infra/terraform/modules/gateway/routes.json");

const OpenApi = z.object({
  paths: z.record(z.string(), z.record(z.string(), z.object({ security: z.array(z.unknown()) }))),
});
type Paths = z.infer<typeof OpenApi>["paths"];

/** A route of the API gateway: a path with its methods, and whether it is answered without a token. */
interface GatewayRoute {
  path: string;
  methods: string[];
  isPublic: boolean;
}

/** The public methods of a path and its others are two routes. */
function gatewayRoutes(paths: Paths): GatewayRoute[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    [false, true].flatMap((isPublic) => {
      const methods = Object.entries(operations)
        .filter(([, { security }]) => (security.length === 0) === isPublic)
        .map(([method]) => method.toUpperCase());
      return methods.length === 0 ? [] : [{ path, methods, isPublic }];
    }),
  );
}

let api: TestApi;
beforeAll(() => {
  api = testApi();
});
afterAll(() => api.app.close());

// Written anew by `npx vitest run --project fast apps/api/test/gateway-routes -u`.
test("the gateway of infra/terraform lets through every route of the API, and asks for a token where the API does", async () => {
  const { paths } = OpenApi.parse((await api.app.inject("/openapi.json")).json());
  const routes = gatewayRoutes(paths);
  expect(routes.filter(({ isPublic }) => isPublic).map(({ path }) => path)).toContain("/health");
  await expect(`${JSON.stringify(routes, undefined, 2)}\n`).toMatchFileSnapshot(file);
});
