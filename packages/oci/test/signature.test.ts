import { request as requestHttp } from "node:http";
import { text } from "node:stream/consumers";
import { DefaultRequestSigner, type Method } from "oci-common";
import { expect, test } from "vitest";
import { Rig } from "./rig.ts";

const bucket = "/n/local/b/agent-checkpoints";

interface Sent {
  method?: Method;
  path?: string;
  body?: string;
  /** Leaves the body out of the signature, as for objects. */
  excludeBody?: boolean;
  /** Of the SDK's signed headers, changed after signing. */
  tamper?: (headers: Headers) => void;
  /** What is sent in place of what was signed. */
  sentPath?: string;
  sentBody?: string;
}

/** Signs with the signer of the SDK, and sends what may be something else. */
async function send(rig: Rig, sent: Sent): Promise<{ status: number; body: { code?: string; message?: string } }> {
  const { method = "GET", path = bucket, body, excludeBody = false, tamper, sentPath = path, sentBody = body } = sent;
  const headers = new Headers();
  const uri = `${rig.local.endpoint}${path}`;
  await new DefaultRequestSigner(rig.provider()).signHttpRequest({ method, uri, headers, body }, excludeBody);
  tamper?.(headers);
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: object }>();
  const options = { method, path: sentPath, headers: Object.fromEntries(headers) };
  const request = requestHttp(rig.local.endpoint, options, (response) => {
    text(response).then(
      (answer) => resolve({ status: response.statusCode ?? 0, body: JSON.parse(answer || "{}") }),
      reject,
    );
  });
  request.on("error", reject);
  request.end(sentBody);
  return promise;
}

const createBody = JSON.stringify({ name: "agent-checkpoints", compartmentId: "local" });
const create: Sent = {
  method: "POST",
  path: "/n/local/b",
  body: createBody,
};

test("what the signer of the SDK signs is taken", async () => {
  const rig = await Rig.start();
  expect(await send(rig, create)).toMatchObject({ status: 200 });
  expect(await send(rig, { method: "PUT", path: `${bucket}/o/a`, body: "hello", excludeBody: true })).toMatchObject({
    status: 200,
  });
  expect(await send(rig, {})).toMatchObject({ status: 200, body: { name: "agent-checkpoints" } });
});

const late = (headers: Headers) => headers.set("x-date", new Date(Date.now() + 1000).toUTCString());
const other = (headers: Headers) => headers.set("host", "elsewhere");
const unsigned = (headers: Headers) => headers.delete("authorization");
const unknownKey = (headers: Headers) =>
  headers.set("authorization", (headers.get("authorization") ?? "").replace(/keyId="[^"]*"/, 'keyId="a/b/c"'));
const weaker = (headers: Headers) =>
  headers.set("authorization", (headers.get("authorization") ?? "").replace("rsa-sha256", "hmac-sha256"));
/** Names fewer headers than are signed: what is left out could be changed by anybody. */
const fewer = (headers: Headers) =>
  headers.set(
    "authorization",
    (headers.get("authorization") ?? "").replace(/headers="[^"]*"/, 'headers="x-date host"'),
  );

const forged: [string, Sent][] = [
  ["no signature", { tamper: unsigned }],
  ["another date than was signed", { tamper: late }],
  ["another host than was signed", { tamper: other }],
  ["another path than was signed", { sentPath: `${bucket}/o` }],
  ["another query than was signed", { path: `${bucket}/o?limit=1`, sentPath: `${bucket}/o?limit=2` }],
  ["another method than was signed", { ...create, method: "PUT", path: "/n/local/b" }],
  ["another body than was signed", { ...create, sentBody: createBody.replace("agent", "other") }],
  [
    "a body that the signature does not cover",
    { ...create, excludeBody: true, tamper: (headers) => headers.set("content-type", "application/json") },
  ],
  ["a key that nobody registered", { tamper: unknownKey }],
  ["another algorithm", { tamper: weaker }],
  ["a signature over too little", { tamper: fewer }],
];

test.each(forged)("refused: %s", async (_, sent) => {
  const rig = await Rig.start();
  const { status, body } = await send(rig, sent);
  // A method that no operation has is not found before it is not let in.
  const isUnknown = sent.method === "PUT";
  expect({ status, code: body.code }).toEqual(
    isUnknown ? { status: 404, code: "NotAuthorizedOrNotFound" } : { status: 401, code: "NotAuthenticated" },
  );
});

test.each([
  [-4, 404],
  [4, 404],
  [-6, 401],
  [6, 401],
])("a clock that is %i minutes off is answered %i", async (minutes, status) => {
  const rig = await Rig.start({ now: () => Date.now() + minutes * 60_000 });
  expect((await send(rig, {})).status).toBe(status);
});
