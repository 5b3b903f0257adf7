import type { z } from "zod";
import type { ociEnvironment } from "./environment.ts";

/** Who calls OCI, by the kinds of `OCI_AUTH`. */
export type OciCredentials =
  /** A file as that of the OCI CLI; `local` is one for the local server. */
  | { kind: "config_file" | "local"; file: string | undefined; profile: string }
  | {
      kind: "api_key";
      tenancyId: string;
      userId: string;
      fingerprint: string;
      /** PEM text. */
      privateKey: string;
      passphrase?: string;
    }
  /** Who the machine, the pod or the function says that this process is. */
  | { kind: "instance_principal" | "resource_principal" | "oke_workload_identity" };

/** How to reach OCI, and what is used there. */
export interface OciSettings {
  credentials: OciCredentials;
  /** The one of the credentials where none is named. */
  region?: string;
  /** Of Object Storage; asked for where none is named. */
  namespace?: string;
  compartmentId?: string;
  /** Bucket of checkpoints, archives and blobs. */
  bucket: string;
  /** Instead of the address that follows from the region. */
  endpoints: { objectStorage?: string; streaming?: string; monitoring?: string; logging?: string };
  /** Where measurements go; nowhere unless set. */
  monitoring?: { namespace: string; fleet: string };
  /** OCID of the log of audit lines; none are written unless set. */
  auditLogId?: string;
}

/** OCI as parsed variables name it, or undefined where `OCI_AUTH` is not set: then files are used. */
export function ociSettings(config: Readonly<z.output<typeof ociEnvironment>>): OciSettings | undefined {
  const credentials = credentialsOf(config);
  if (!credentials) return undefined;
  return {
    credentials,
    ...(config.OCI_REGION !== undefined && { region: config.OCI_REGION }),
    ...(config.OCI_NAMESPACE !== undefined && { namespace: config.OCI_NAMESPACE }),
    ...(config.OCI_COMPARTMENT_ID !== undefined && { compartmentId: config.OCI_COMPARTMENT_ID }),
    bucket: config.OCI_CHECKPOINT_BUCKET,
    endpoints: {
      ...(config.OCI_OBJECT_STORAGE_ENDPOINT !== undefined && { objectStorage: config.OCI_OBJECT_STORAGE_ENDPOINT }),
      ...(config.OCI_STREAMING_ENDPOINT !== undefined && { streaming: config.OCI_STREAMING_ENDPOINT }),
      ...(config.OCI_MONITORING_ENDPOINT !== undefined && { monitoring: config.OCI_MONITORING_ENDPOINT }),
      ...(config.OCI_LOGGING_ENDPOINT !== undefined && { logging: config.OCI_LOGGING_ENDPOINT }),
    },
    ...(config.OCI_METRICS_NAMESPACE !== undefined && {
      monitoring: { namespace: config.OCI_METRICS_NAMESPACE, fleet: config.OCI_METRICS_FLEET },
    }),
    ...(config.AUDIT_LOG_OCID !== undefined && { auditLogId: config.AUDIT_LOG_OCID }),
  };
}

function credentialsOf(config: Readonly<z.output<typeof ociEnvironment>>): OciCredentials | undefined {
  const kind = config.OCI_AUTH;
  if (kind === undefined) return undefined;
  switch (kind) {
    case "config_file":
    case "local":
      return { kind, file: config.OCI_CONFIG_FILE, profile: config.OCI_CONFIG_PROFILE };
    case "api_key":
      return {
        kind,
        // That they are set is checked where the variables are parsed.
        tenancyId: config.OCI_TENANCY_ID ?? "",
        userId: config.OCI_USER_ID ?? "",
        fingerprint: config.OCI_KEY_FINGERPRINT ?? "",
        privateKey: config.OCI_KEY_FILE ?? "",
        ...(config.OCI_KEY_PASSPHRASE !== undefined && { passphrase: config.OCI_KEY_PASSPHRASE }),
      };
    case "instance_principal":
    case "resource_principal":
    case "oke_workload_identity":
      return { kind };
  }
}
