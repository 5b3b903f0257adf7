import { text } from "node:stream/consumers";
import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { builtinAgents } from "@flotilla/agents";
import { openStorage } from "@flotilla/oci";
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
  hostname: z.string().exactOptional(),
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

/** The image of our own brings its check. */
function isWatched(service: z.infer<typeof Service> | undefined): boolean {
  return service?.build === undefined ? service?.healthcheck !== undefined : /^HEALTHCHECK /m.test(dockerfile);
}

test("compose runs an API, three supervisors and two workers of every agent type", () => {
  expect(services.api?.deploy.replicas).toBe(1);
  expect(services.supervisor?.deploy.replicas).toBe(3);
  expect(agents.map(([, { deploy }]) => deploy.replicas)).toEqual(agents.map(() => 2));
  const types = builtinAgents({ docsRoots: [], dataDir: "" }).map(({ type }) => type);
  const named = agents.map(([, { environment }]) => environment.AGENT_TYPE ?? "");
  expect(named.toSorted()).toEqual(types.toSorted());
  expect(Object.keys(services)).toEqual(expect.arrayContaining(["redis", "oci", "prometheus", "grafana"]));
});

test.each(Object.entries(services))("%s is watched, and reached from this machine only", (name, service) => {
  expect(isWatched(service)).toBe(true);
  for (const port of service.ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  for (const other of Object.keys(service.depends_on)) expect(isWatched(services[other]), name).toBe(true);
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

test("the local Oracle Cloud of compose is healthy, lets in who has its key, and is where the others look for it", async () => {
  const oci = services.oci;
  // Nobody outside of the fleet's own network reaches it.
  expect(oci?.ports).toEqual([]);
  for (const [name, { environment, hostname }] of own) {
    if (name === "oci") expect(hostname).toBe("oci");
    else expect(environment.OCI_OBJECT_STORAGE_ENDPOINT).toBe(`http://oci:${oci?.environment.PORT}`);
  }
  const folder = await mkdtemp(join(tmpdir(), "flotilla-compose-"));
  // Another loopback address stands for the name of the container.
  const environment = { PATH: process.env.PATH ?? "", HOST: "127.0.0.2", PORT: "0", FLOTILLA_DATA_DIR: folder };
  const child = fork(join(root, oci?.command?.[0] ?? ""), { env: environment, stdio: "inherit" });
  try {
    const [ready]: unknown[] = await once(child, "message");
    const { url } = z.object({ url: z.url() }).parse(ready);
    expect(new URL(url).hostname).toBe("127.0.0.2");
    expect((await fetch(new URL("/health", url))).status).toBe(200);
    expect((await fetch(new URL("/n", url))).status).toBe(401);
    const config = {
      ...runtime.ociEnvironment.parse({
        ...services.api?.environment,
        OCI_CONFIG_FILE: join(folder, "oci/config"),
        OCI_OBJECT_STORAGE_ENDPOINT: url,
      }),
      FLOTILLA_DATA_DIR: folder,
    };
    const { blobs, services: started } = openStorage(config, runtime.createLogger({ role: "test", level: "silent" }));
    for (const service of started) await service.start();
    const { sha256 } = await blobs.put(Buffer.from("kept"));
    const kept = await blobs.get(sha256);
    expect(kept && (await text(kept))).toBe("kept");
    for (const service of started) await service.stop();
  } finally {
    child.kill();
    await once(child, "exit");
    await rm(folder, { recursive: true });
  }
});

describePromtool("the Prometheus of compose", () => {
  test("has a configuration that it understands, and names every service that has metrics", async () => {
    const { passed, output } = await promtool(["check", "config", "prometheus.compose.yml"]);
    expect(passed, output).toBe(true);
    const text = await readFile(join(root, "infra/prometheus/prometheus.compose.yml"), "utf8");
    // The local Oracle Cloud is no part of a fleet, and measures nothing.
    for (const [name] of own.filter(([other]) => other !== "oci"))
      expect(text).toMatch(new RegExp(`[\\[ ]${name}[,\\]]`));
  });
});
