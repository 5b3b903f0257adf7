import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Client } from "@flotilla/client";
import type { ArtifactView } from "@flotilla/workflow";

/** A file that an agent made, and where it lies now. */
export interface SavedArtifact extends ArtifactView {
  path: string;
}

/** Fetches the files of a workflow into the folder. A name that would leave it is passed over. */
export async function saveArtifacts(client: Client, id: string, folder: string): Promise<SavedArtifact[]> {
  // Two tasks may have made a file of one name: the API gives the later one.
  const latest = new Map((await client.artifacts(id)).map((artifact) => [artifact.name, artifact]));
  const saved: SavedArtifact[] = [];
  for (const [name, artifact] of latest) {
    if (name !== basename(name) || name === "." || name === "..") continue;
    await mkdir(folder, { recursive: true });
    const path = join(folder, name);
    await writeFile(path, await client.artifact(id, name));
    saved.push({ ...artifact, path });
  }
  return saved;
}
