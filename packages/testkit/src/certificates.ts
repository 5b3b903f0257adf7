import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Whether certificates can be made on this machine. */
export const hasOpenssl = spawnSync("openssl", ["version"]).error === undefined;

/** A certificate and its key, as text and as files. */
export interface Certificate {
  cert: string;
  key: string;
  certFile: string;
  keyFile: string;
}

function openssl(args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: "pipe" });
}

/** An authority of its own in `folder`, and what it signs. */
export class TestAuthority {
  readonly #folder: string;
  readonly #name: string;

  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
    const { certFile, keyFile } = this.#files(name);
    const subject = ["-subj", `/CN=${name}`, "-days", "2"];
    openssl(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", keyFile, "-out", certFile, ...subject]);
  }

  get certificate(): string {
    return readFileSync(this.certificateFile, "utf8");
  }

  get certificateFile(): string {
    return this.#files(this.#name).certFile;
  }

  /** A certificate for 127.0.0.1 with that common name; the same files where it was issued before. */
  issue(commonName: string): Certificate {
    const ca = this.#files(this.#name);
    const { certFile, keyFile } = this.#files(`${this.#name}-${commonName}`);
    const request = join(this.#folder, "request.pem");
    const extensions = join(this.#folder, "extensions");
    writeFileSync(extensions, "subjectAltName=IP:127.0.0.1");
    openssl([
      "req",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      keyFile,
      "-out",
      request,
      "-subj",
      `/CN=${commonName}`,
    ]);
    const signer = ["-CA", ca.certFile, "-CAkey", ca.keyFile, "-CAcreateserial"];
    openssl(["x509", "-req", "-in", request, ...signer, "-out", certFile, "-days", "2", "-extfile", extensions]);
    return { cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8"), certFile, keyFile };
  }

  #files(name: string): { certFile: string; keyFile: string } {
    return { certFile: join(this.#folder, `${name}.crt`), keyFile: join(this.#folder, `${name}.key`) };
  }
}
