import ipaddr from "ipaddr.js";

const longestUrl = 2048;

/** Answers to whoever is on the machine, and no range of its own says so: the wire server of Azure. */
const neverPublic: ReadonlySet<string> = new Set(["168.63.129.16"]);

/** A host that callbacks may reach though it is private, and by http; on one port, or on any. */
export interface TrustedHost {
  host: string;
  port?: number;
}

/** Whether an address is one of the public internet: not private, loopback, link-local, mapped or tunnelled. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return parsed.range() === "unicast" && !neverPublic.has(parsed.toString());
}

/** The host of an address without brackets, as resolvers take it. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

/** Whether an operator has said that callbacks may go there, whatever its address is. */
export function isTrusted(url: URL, trusted: readonly TrustedHost[]): boolean {
  const port = Number(url.port) || (url.protocol === "https:" ? 443 : 80);
  return trusted.some((one) => one.host === hostOf(url) && (one.port === undefined || one.port === port));
}

/** Why nothing may be sent to an address, as far as it can be told without resolving its name; undefined where it may. */
export function callbackProblem(text: string, trusted: readonly TrustedHost[]): string | undefined {
  if (text.length > longestUrl) return `must be at most ${longestUrl} characters`;
  if (!URL.canParse(text)) return "must be an address";
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return "must be an https address";
  if (url.username !== "" || url.password !== "") return "must not carry a user or a password";
  if (isTrusted(url, trusted)) return undefined;
  if (url.protocol === "http:") return "must be an https address";
  const host = hostOf(url);
  if (ipaddr.isValid(host) && !isPublicAddress(host)) return "must be an address of the public internet";
  return undefined;
}
