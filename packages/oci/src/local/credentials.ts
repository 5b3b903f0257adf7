import { createHash, createPublicKey, generateKeyPairSync, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type KeyRing, keyRing } from "./signature.ts";

/** A key pair for the local server, as files. */
export interface LocalCredentials {
  /** In the format of the OCI CLI and SDKs: what `OCI_CONFIG_FILE` names. */
  configFile: string;
  /** What the server lets in. */
  keys: KeyRing;
}

const tenancy = "ocid1.tenancy.oc1..local";
const user = "ocid1.user.oc1..local";

/** The key of that folder, made the first time, and a configuration file beside it; for the eyes of their owner only. */
export async function localCredentials(folder: string): Promise<LocalCredentials> {
  await mkdir(folder, { recursive: true });
  const keyFile = join(folder, "key.pem");
  const configFile = join(folder, "config");
  const privateKey = (await readKey(keyFile)) ?? newKey();
  const publicKey = createPublicKey(privateKey);
  const fingerprint = fingerprintOf(publicKey.export({ type: "spki", format: "der" }));
  const config = { user, fingerprint, tenancy, region: "us-ashburn-1", key_file: keyFile };
  const lines = Object.entries(config).map(([name, value]) => `${name}=${value}\n`);
  await writePrivate(keyFile, privateKey);
  await writePrivate(configFile, `[DEFAULT]\n${lines.join("")}`);
  const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
  return { configFile, keys: keyRing({ [`${tenancy}/${user}/${fingerprint}`]: pem }) };
}

async function readKey(file: string): Promise<string | undefined> {
  const pem = await readFile(file, "utf8").catch(() => undefined);
  return pem;
}

function newKey(): string {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/** As the console of OCI shows it: the MD5 of the public key, in pairs. */
function fingerprintOf(der: Buffer): string {
  return createHash("md5")
    .update(der)
    .digest("hex")
    .replaceAll(/(..)(?!$)/g, "$1:");
}

async function writePrivate(file: string, text: string): Promise<void> {
  const unfinished = `${file}.${randomUUID()}`;
  await writeFile(unfinished, text, { mode: 0o600 });
  await rename(unfinished, file);
}
