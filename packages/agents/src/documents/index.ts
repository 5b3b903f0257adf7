export { Documents, type DocumentSettings } from "./documents.ts";
export { documentTools } from "./tools.ts";
