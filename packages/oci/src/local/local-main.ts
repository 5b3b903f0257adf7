import { hostname } from "node:os";
import { join } from "node:path";
import { createLogger, runProcess, type Service } from "@flotilla/runtime";
import { config } from "./config.ts";
import { localCredentials } from "./credentials.ts";
import { LocalOci } from "./server.ts";

const logger = createLogger({ role: "oci", level: config.LOG_LEVEL });
// Its key, and what it is given.
const folder = join(config.FLOTILLA_DATA_DIR, "oci");
const intakes = config.FLOTILLA_INTAKE.map(({ streamId }) => streamId);
const streams = config.OCI_STREAM_ID === undefined ? intakes : [config.OCI_STREAM_ID, ...intakes];
let local: LocalOci | undefined;
const service: Service = {
  async start() {
    const { keys } = await localCredentials(folder);
    const { HOST: host, PORT: port } = config;
    // Bound to every address it is reached by the name of its container.
    const name = host === "0.0.0.0" ? hostname() : host;
    local = await LocalOci.start({ folder: join(folder, "data"), keys, streams, host, name, port });
  },
  async stop() {
    await local?.stop();
  },
};

await runProcess({
  role: "oci",
  services: [service],
  logger,
  details: () => (local ? { url: local.endpoint } : {}),
});
