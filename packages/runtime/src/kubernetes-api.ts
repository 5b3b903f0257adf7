import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { text } from "node:stream/consumers";

const folder = "/var/run/secrets/kubernetes.io/serviceaccount";
const timeoutMs = 5000;

/** An API server of Kubernetes, and who asks it. */
export interface KubernetesApi {
  url: URL;
  /** PEM of the authority that signed its certificate. */
  ca: string;
  token: string;
  /** The namespace of who asks. */
  namespace: string;
}

/** One request to it; `body` is JSON. */
export interface KubernetesRequest {
  method: "GET" | "PATCH";
  path: string;
  body?: string;
  contentType?: string;
}

/** The cluster that this pod runs in, by its service account. Read anew for each use, for tokens are replaced in place. */
export async function ownCluster(): Promise<KubernetesApi> {
  const read = (name: string) => readFile(`${folder}/${name}`, "utf8");
  const [ca, token, namespace] = await Promise.all([read("ca.crt"), read("token"), read("namespace")]);
  return { url: new URL("https://kubernetes.default.svc"), ca, token: token.trim(), namespace: namespace.trim() };
}

/** Status and body of what it answers; rejects where it does not within 5 s. */
export async function askKubernetes(
  api: KubernetesApi,
  { method, path, body, contentType }: KubernetesRequest,
): Promise<{ status: number; body: string }> {
  const headers = {
    authorization: `Bearer ${api.token}`,
    accept: "application/json",
    ...(contentType === undefined ? {} : { "content-type": contentType }),
  };
  return new Promise((resolve, reject) => {
    const asked = request(
      new URL(path, api.url),
      { method, ca: api.ca, headers, signal: AbortSignal.timeout(timeoutMs) },
      (response) => {
        text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }), reject);
      },
    );
    asked.on("error", reject);
    asked.end(body);
  });
}
