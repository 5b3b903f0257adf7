/** A place in a list of workflows or items, newest first: behind the one of that time and id. */
export interface ListPlace {
  createdAt: number;
  id: string;
}

export function encodeCursor({ createdAt, id }: ListPlace): string {
  return Buffer.from(`${createdAt} ${id}`).toString("base64url");
}

/** Undefined when the text is not a cursor of ours. */
export function decodeCursor(text: string): ListPlace | undefined {
  const [, createdAt, id] =
    /^(\d{1,15}) (wf_[0-9a-z]{2}_[0-9a-z]{26}(?:\.\d{1,15})?)$/.exec(Buffer.from(text, "base64url").toString()) ?? [];
  return createdAt === undefined || id === undefined ? undefined : { createdAt: Number(createdAt), id };
}
