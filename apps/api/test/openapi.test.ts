import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type TestApi, testApi } from "./api.ts";

const Operation = z.looseObject({
  operationId: z.string(),
  parameters: z.array(z.looseObject({ name: z.string(), in: z.string() })),
  responses: z.record(z.string(), z.looseObject({ description: z.string() })),
});
const OpenApi = z.looseObject({
  openapi: z.literal("3.1.0"),
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.looseObject({ schemas: z.record(z.string(), z.looseObject({})) }),
});

let api: TestApi;
let text: string;
let document: z.infer<typeof OpenApi>;
const registered: string[] = [];

beforeAll(async () => {
  api = testApi();
  // Routes are registered when the application boots: this hook comes in time to see them all.
  api.app.addHook("onRoute", ({ method, url }) => {
    for (const name of [method].flat()) if (name !== "HEAD") registered.push(`${name} ${url}`);
  });
  const answer = await api.app.inject("/openapi.json");
  text = answer.body;
  document = OpenApi.parse(answer.json());
});
afterAll(() => api.app.close());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

describe("/openapi.json", () => {
  it("has every route that is registered, and no other", () => {
    const described = operations().map(
      ({ path, method }) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`,
    );
    expect(described.toSorted()).toEqual(registered.toSorted());
    expect(described.length).toBeGreaterThan(10);
  });

  it("has a name of its own, a success and problems for every operation", () => {
    expect(new Set(operations().map(({ operation }) => operation.operationId)).size).toBe(operations().length);
    for (const { operation } of operations()) {
      const statuses = Object.keys(operation.responses);
      expect(statuses).toEqual(expect.arrayContaining([expect.stringMatching(/^20[0124]$/), "500"]));
    }
  });

  it("names every parameter that a path holds", () => {
    for (const { path, operation } of operations()) {
      const named = operation.parameters.filter((parameter) => parameter.in === "path").map(({ name }) => `{${name}}`);
      expect(path.match(/\{\w+\}/g) ?? []).toEqual(named);
    }
  });

  it("has no reference that leads nowhere", () => {
    const names = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) expect(Object.keys(document.components.schemas)).toContain(name);
  });

  it("says of a submit what validates it", () => {
    expect(document.components.schemas.WorkflowRequest).toMatchObject({
      additionalProperties: false,
      required: ["input"],
      properties: { priority: { enum: ["critical", "high", "normal", "low"] } },
    });
    const submit = document.paths["/v1/workflows"]?.post;
    expect(Object.keys(submit?.responses ?? {})).toEqual(
      expect.arrayContaining(["202", "400", "401", "409", "413", "415", "422", "429", "503"]),
    );
  });
});
