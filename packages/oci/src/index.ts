export { OciClients } from "./clients.ts";
export { OciFailure, type OciFailureKind } from "./failure.ts";
export { createOciArchive } from "./object-storage/archive.ts";
export { createOciBlobs } from "./object-storage/blobs.ts";
export { OciBucket } from "./object-storage/bucket.ts";
export { OciStorage, openStorage, type Storage, type Streams } from "./storage.ts";
export { OciStreamReader } from "./streaming/reader.ts";
export { createOciStreamWriter } from "./streaming/writer.ts";
