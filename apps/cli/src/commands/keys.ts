import { StoreUnavailableError, tenantPattern } from "@flotilla/workflow";
import { Option } from "commander";
import { z } from "zod";
import type { CommandHost } from "../action.ts";
import { addDataDirOption, addJsonOption } from "../connect.ts";
import type { CliConfig } from "../config.ts";
import { CliError, exitCode } from "../exit.ts";
import type { withKeyStore } from "../local/keys.ts";
import { redisAway, redisOf } from "../local/redis-of-fleet.ts";

const base = { dataDir: z.string().exactOptional(), json: z.boolean().default(false) };

/** Adds `keys create`, `keys list` and `keys revoke`, which work on Redis itself: whoever reaches it may make keys. */
export function addKeys({ parent, act }: CommandHost): void {
  const keys = parent.command("keys").description("make, list and revoke API keys, in the Redis of the fleet");
  const declare = (name: string, description: string) =>
    addJsonOption(addDataDirOption(keys.command(name).description(description)));

  const create = declare("create", "make a key and print it, once: only its hash is stored")
    .addOption(new Option("--tenant <tenant>", "whose key it is").makeOptionMandatory())
    .addOption(new Option("--role <role>", "what it may do").choices(["user", "operator"]).default("user"));
  const createOptions = z.object({
    ...base,
    tenant: z.string().regex(tenantPattern, "--tenant takes a-z 0-9 -, at most 63"),
    role: z.enum(["user", "operator"]),
  });
  act(create, createOptions, async ({ options, config, terminal }) => {
    const { tenant, role } = options;
    const made = await withKeyStoreOf(options, config, (store) => store.create(tenant, role));
    // JSON in either mode: it is to be copied, and complete.
    terminal.emit({ tenant, role, apiKey: made.apiKey });
    return exitCode.done;
  });

  act(declare("list", "list the keys by id; the keys themselves are not stored"), z.object(base), async (context) => {
    const { options, config, terminal } = context;
    for (const record of await withKeyStoreOf(options, config, (store) => store.list())) {
      const { id, tenant, role } = record;
      const createdAt = new Date(record.createdAt).toISOString();
      if (terminal.json) terminal.emit({ id, tenant, role, createdAt });
      else terminal.say(`${id}  ${tenant.padEnd(20)} ${role.padEnd(8)} ${createdAt}`);
    }
    return exitCode.done;
  });

  const revoke = declare("revoke", "revoke a key; it is refused within 5 s").argument("<id>", "of the key, as listed");
  act(revoke, z.object(base), async ({ options, config, terminal }, id = "") => {
    if (!(await withKeyStoreOf(options, config, (store) => store.revoke(id)))) {
      throw new CliError(exitCode.usage, `no key has the id ${id}: see \`flotilla keys list\``);
    }
    if (terminal.json) terminal.emit({ id, revoked: true });
    else terminal.say(`${id} is revoked`);
    return exitCode.done;
  });
}

async function withKeyStoreOf<T>(
  { dataDir }: { dataDir?: string },
  config: CliConfig,
  work: Parameters<typeof withKeyStore<T>>[1],
): Promise<T> {
  const redis = await redisOf(dataDir, config);
  const { withKeyStore } = await import("../local/keys.ts");
  try {
    return await withKeyStore(redis, work);
  } catch (error) {
    if (!(error instanceof StoreUnavailableError)) throw error;
    throw redisAway(redis, error);
  }
}
