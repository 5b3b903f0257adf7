import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join, resolve } from "node:path";
import { builtinAgents } from "@flotilla/agents";
import * as runtime from "@flotilla/runtime";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { describePromtool, promtool } from "./promtool.ts";

const root = resolve(import.meta.dirname, "../..");
const dockerfile = await readFile(join(root, "Dockerfile"), "utf8");

const Service = z.strictObject({
  image: z.string().regex(/:(?!latest$)[\w.-]+$/),
  build: z.literal(".").exactOptional(),
  command: z.array(z.string()).exactOptional(),
  restart: z.literal("unless-stopped"),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.literal("service_healthy") })).default({}),
  environment: z.record(z.string(), z.string()).default({}),
  volumes: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
  tmpfs: z.array(z.string()).default([]),
  read_only: z.boolean().default(false),
  cap_drop: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  stop_grace_period: z.string().exactOptional(),
  deploy: z.strictObject({ replicas: z.int() }).default({ replicas: 1 }),
  healthcheck: z.looseObject({ test: z.array(z.string()) }).exactOptional(),
});
const Compose = z.looseObject({
  name: z.string(),
  services: z.record(z.string(), Service),
  volumes: z.record(z.string(), z.strictObject({})),
});

const { services, volumes } = Compose.parse(
  parse(await readFile(join(root, "docker-compose.yml"), "utf8"), { merge: true }),
);
const own = Object.entries(services).filter(([, { build }]) => build !== undefined);
const agents = own.filter(([name]) => name.startsWith("agent-"));

const variables = new Map(
  Object.entries(runtime)
    .filter(([name]) => name.endsWith("Environment"))
    .flatMap(([, environment]) => (environment instanceof z.ZodObject ? Object.entries(environment.shape) : [])),
);

test("compose runs an API, three supervisors and two workers of every agent type", () => {
  expect(services.api?.deploy.replicas).toBe(1);
  expect(services.supervisor?.deploy.replicas).toBe(3);
  expect(agents.map(([, { deploy }]) => deploy.replicas)).toEqual(agents.map(() => 2));
  const types = builtinAgents({ docsRoots: [], dataDir: "" }).map(({ type }) => type);
  const named = agents.map(([, { environment }]) => environment.AGENT_TYPE ?? "");
  expect(named.toSorted()).toEqual(types.toSorted());
  expect(Object.keys(services)).toEqual(expect.arrayContaining(["redis", "prometheus", "grafana"]));
});

test.each(Object.entries(services))("%s is watched, and reached from this machine only", (name, service) => {
  // The image of our own brings its check.
  const isWatched = service.build === undefined ? service.healthcheck !== undefined : /^HEALTHCHECK /m.test(dockerfile);
  expect(isWatched).toBe(true);
  for (const port of service.ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  for (const other of Object.keys(service.depends_on)) expect(services[other]?.healthcheck, name).toBeDefined();
  for (const volume of service.volumes) {
    const [source = ""] = volume.split(":");
    if (source.startsWith("./")) expect(existsSync(join(root, source)), source).toBe(true);
    else expect(Object.keys(volumes)).toContain(source);
  }
});

test.each(own)("%s has no more rights than it needs, and variables that it reads", (_, service) => {
  expect(service).toMatchObject({ read_only: true, cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] });
  expect(existsSync(join(root, service.command?.[0] ?? ""))).toBe(true);
  for (const [name, value] of Object.entries(service.environment)) {
    const variable = variables.get(name);
    expect(variable, name).toBeDefined();
    if (variable) expect(z.safeParse(variable, value).success, name).toBe(true);
    expect(name).not.toMatch(/PASSWORD|KEY|SECRET|TOKEN/);
  }
});

test("the image has the flags of the fleet's processes, another user than root, and every app", () => {
  expect(dockerfile).toContain(`NODE_OPTIONS=${runtime.nodeFlags.join(" ")} `);
  expect(dockerfile).toMatch(/^USER \d{4,}:\d{4,}$/m);
  const apps = globSync("apps/*/package.json", { cwd: root }).map((file) => join(root, file));
  expect(apps).toHaveLength([...dockerfile.matchAll(/--workspace /g)].length);
});

test("the health check of a container follows the answer of whichever port has one", async () => {
  let status = 200;
  const server = createServer((_, response) => response.writeHead(status).end()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? String(address?.port) : "";
  const exitCode = (...ports: string[]) =>
    new Promise((done) => {
      const child = fork(join(root, "infra/docker/health.mjs"), ports, { execArgv: [] });
      child.once("exit", done);
    });
  // Nobody listens on port 1.
  expect(await exitCode("1", port)).toBe(0);
  status = 503;
  expect(await exitCode(port, "1")).toBe(1);
  status = 404;
  expect(await exitCode(port, "1")).toBe(1);
  server.close();
});

describePromtool("the Prometheus of compose", () => {
  test("has a configuration that it understands, and names every service that has metrics", async () => {
    const { passed, output } = await promtool(["check", "config", "prometheus.compose.yml"]);
    expect(passed, output).toBe(true);
    const text = await readFile(join(root, "infra/prometheus/prometheus.compose.yml"), "utf8");
    for (const [name] of own) expect(text).toMatch(new RegExp(`[\\[ ]${name}[,\\]]`));
  });
});
