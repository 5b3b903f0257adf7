import type { OciCredentials } from "@flotilla/runtime";
import type { AuthenticationDetailsProvider } from "oci-common";

/**
 * The provider of the SDK for these credentials. There is no chain: what was named is used or refused, and the address
 * of instance metadata is asked for `instance_principal` only.
 */
export async function providerOf(credentials: OciCredentials): Promise<AuthenticationDetailsProvider> {
  const common = await import("oci-common");
  switch (credentials.kind) {
    case "local":
    case "config_file": {
      const provider = new common.ConfigFileAuthenticationDetailsProvider(credentials.file, credentials.profile);
      if (provider.getAuthType())
        throw new Error("a profile with an authentication_type is not supported: name it in OCI_AUTH");
      return provider;
    }
    case "api_key": {
      const { tenancyId, userId, fingerprint, privateKey, passphrase } = credentials;
      return new common.SimpleAuthenticationDetailsProvider(
        tenancyId,
        userId,
        fingerprint,
        privateKey,
        passphrase ?? null,
      );
    }
    case "instance_principal":
      return new common.InstancePrincipalsAuthenticationDetailsProviderBuilder().build();
    case "resource_principal":
      return common.ResourcePrincipalAuthenticationDetailsProvider.builder();
    case "oke_workload_identity": {
      const { OkeWorkloadIdentityAuthenticationDetailsProvider: provider } = common;
      return new provider.OkeWorkloadIdentityAuthenticationDetailsProviderBuilder().build();
    }
  }
}
