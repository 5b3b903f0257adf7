import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import { z } from "zod";

/** Who the API server of the cluster is, when it calls: which authority signs its certificate, and by which names. */
export interface ClientAuthority {
  /** PEM. */
  ca: string;
  /** Common names; any that the authority has signed where there are none. */
  names: readonly string[];
}

const folder = "/var/run/secrets/kubernetes.io/serviceaccount";
const path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
const timeoutMs = 5000;

const ConfigMap = z.object({
  data: z.object({
    "requestheader-client-ca-file": z.string().min(1),
    "requestheader-allowed-names": z
      .string()
      .default("[]")
      .transform((json): unknown => JSON.parse(json))
      .pipe(z.array(z.string())),
  }),
});

/** Asks the cluster that this pod runs in, by its service account; it must be let read that ConfigMap. */
export async function askCluster(): Promise<ClientAuthority> {
  const [ca, token] = await Promise.all([readFile(`${folder}/ca.crt`, "utf8"), readFile(`${folder}/token`, "utf8")]);
  return fetchClientAuthority(new URL("https://kubernetes.default.svc"), ca, token);
}

/** The same of any API server, whose certificate `ca` has signed. Throws where it does not tell. */
export async function fetchClientAuthority(server: URL, ca: string, token: string): Promise<ClientAuthority> {
  const body = await new Promise<string>((resolve, reject) => {
    const headers = { authorization: `Bearer ${token.trim()}`, accept: "application/json" };
    const asked = request(
      new URL(path, server),
      { ca, headers, signal: AbortSignal.timeout(timeoutMs) },
      (response) => {
        if (response.statusCode === 200) text(response).then(resolve, reject);
        else reject(new Error(`the API server answered ${response.statusCode} about its own certificate`));
      },
    );
    asked.on("error", reject);
    asked.end();
  });
  const { data } = ConfigMap.parse(JSON.parse(body));
  return { ca: data["requestheader-client-ca-file"], names: data["requestheader-allowed-names"] };
}
