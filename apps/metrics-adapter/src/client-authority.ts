import { askKubernetes, type KubernetesApi } from "@flotilla/runtime";
import { z } from "zod";

/** Who the API server of the cluster is, when it calls: which authority signs its certificate, and by which names. */
export interface ClientAuthority {
  /** PEM. */
  ca: string;
  /** Common names; any that the authority has signed where there are none. */
  names: readonly string[];
}

const path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";

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

/** Asks that API server; who asks must be let read that ConfigMap. Throws where it does not tell. */
export async function fetchClientAuthority(api: KubernetesApi): Promise<ClientAuthority> {
  const { status, body } = await askKubernetes(api, { method: "GET", path });
  if (status !== 200) throw new Error(`the API server answered ${status} about its own certificate`);
  const { data } = ConfigMap.parse(JSON.parse(body));
  return { ca: data["requestheader-client-ca-file"], names: data["requestheader-allowed-names"] };
}
