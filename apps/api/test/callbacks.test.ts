import { callbackRules } from "@flotilla/runtime";
import { afterEach, expect, test } from "vitest";
import { as, keys, testApi, type TestApi } from "./api.ts";

const secret = "a-secret-of-the-fleet-for-this-test";
const callbacks = callbackRules({ secrets: [secret], trustedHosts: [{ host: "hooks.intranet" }] });

let api: TestApi | undefined;
afterEach(() => api?.app.close());

async function submit(callbackUrl: string, overrides: Parameters<typeof testApi>[0]) {
  api = testApi(overrides);
  const payload = { input: "x", agent: "research", callbackUrl };
  const answer = await api.app.inject({ method: "POST", url: "/v1/workflows", headers: as(keys.acme), payload });
  const { code, errors } = answer.json<{ code?: string; errors?: { path: string; message: string }[] }>();
  return { status: answer.statusCode, code, errors };
}

test("a fleet that cannot sign accepts no callback, and says what is missing", async () => {
  const { status, code, errors } = await submit("https://example.com/", {});
  expect([status, code]).toEqual([422, "not-supported"]);
  expect(errors).toEqual([expect.objectContaining({ path: "/callbackUrl" })]);
  expect(errors?.[0]?.message).toContain("FLOTILLA_CALLBACK_SECRET");
});

test.each([
  ["http://example.com/"],
  ["https://127.0.0.1/"],
  ["https://169.254.169.254/opc/v2/instance/"],
  ["https://[::ffff:10.0.0.1]/"],
  ["https://me:word@example.com/"],
])("%s is refused as an address for callbacks", async (url) => {
  const { status, errors } = await submit(url, { ...(callbacks && { callbacks }) });
  expect([status, errors?.map(({ path }) => path)]).toEqual([400, ["/callbackUrl"]]);
});

test.each([["https://example.com/hook"], ["http://hooks.intranet/"]])("%s is accepted", async (url) => {
  expect((await submit(url, { ...(callbacks && { callbacks }) })).status).toBe(202);
});

test("each tenant is told its own secrets, and no log line is", async () => {
  api = testApi({ ...(callbacks && { callbacks }) });
  const ask = async (key: string) => {
    const answer = await api?.app.inject({ url: "/v1/callback-secrets", headers: as(key) });
    return answer?.json<{ secrets: string[] }>().secrets;
  };
  const [acme, other] = [await ask(keys.acme), await ask(keys.other)];
  expect(acme).toEqual(callbacks?.secretsOf("acme"));
  expect(other).not.toEqual(acme);
  expect(api.logged()).toContain("/v1/callback-secrets");
  for (const text of [secret, "whsec_"]) expect(api.logged()).not.toContain(text);
});

test("without a secret there is none to be told", async () => {
  api = testApi();
  const answer = await api.app.inject({ url: "/v1/callback-secrets", headers: as(keys.acme) });
  expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([422, "not-supported"]);
});
