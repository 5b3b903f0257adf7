export { localCredentials, type LocalCredentials } from "./credentials.ts";
export type { Fault, Faults } from "./faults.ts";
export { LocalOci, type LocalOciOptions } from "./server.ts";
export { keyRing, type KeyRing } from "./signature.ts";
