import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const program = `
  const { OciClients, OciStorage } = await import("@flotilla/oci");
  await import("@flotilla/oci/local");
  new OciClients({ bucket: "b", endpoints: {}, credentials: { kind: "instance_principal" } });
  const { createRequire } = await import("node:module");
  const loaded = Object.keys(createRequire(import.meta.url).cache).filter((file) => /node_modules.oci-/.test(file));
  console.log(JSON.stringify(loaded));
  const { createRequire: control } = await import("node:module");
  await import("oci-common");
  console.log(Object.keys(control(import.meta.url).cache).some((file) => /node_modules.oci-/.test(file)));
`;

test("who keeps nothing at OCI does not load its SDK", { timeout: 120_000 }, async () => {
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { cwd });
  // The second line says that the look would have found it.
  expect(stdout.trim().split("\n")).toEqual(["[]", "true"]);
});
