import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { describeTerraform, type PlannedResource, Workspace } from "./terraform.ts";

const backend = { api_backend: "http://10.0.2.20" };

const Rule = z.looseObject({
  direction: z.enum(["INGRESS", "EGRESS"]),
  source: z.string().nullish(),
  destination: z.string().nullish(),
  tcp_options: z
    .array(z.object({ destination_port_range: z.array(z.object({ min: z.number(), max: z.number() })) }))
    .default([]),
});
const Lifecycle = z.looseObject({
  rules: z.array(
    z.looseObject({
      target: z.string(),
      action: z.string(),
      time_amount: z.string(),
      object_name_filter: z.array(z.looseObject({ inclusion_prefixes: z.array(z.string()) })),
    }),
  ),
});
const Deployment = z.looseObject({
  specification: z.array(
    z.looseObject({
      request_policies: z.array(
        z.looseObject({
          authentication: z.array(z.looseObject({ type: z.string(), token_header: z.string() })),
          rate_limiting: z.array(z.looseObject({ rate_in_requests_per_second: z.number(), rate_key: z.string() })),
        }),
      ),
      routes: z.array(
        z.looseObject({
          path: z.string(),
          backend: z.array(z.looseObject({ url: z.string() })),
          request_policies: z.array(z.looseObject({ authorization: z.array(z.looseObject({ type: z.string() })) })),
        }),
      ),
    }),
  ),
});
const Pool = z.looseObject({
  node_config_details: z.array(
    z.looseObject({ placement_configs: z.array(z.looseObject({ availability_domain: z.string() })) }),
  ),
});
const State = z.object({
  resources: z.array(
    z.looseObject({
      type: z.string(),
      instances: z.array(z.object({ attributes: z.record(z.string(), z.unknown()) })),
    }),
  ),
});

describeTerraform("the configuration for Oracle Cloud, before a stand-in of its provider", () => {
  let workspace: Workspace;
  let resources: PlannedResource[];
  beforeAll(async () => {
    workspace = await Workspace.open();
    resources = await workspace.plan(backend);
  });
  afterAll(() => workspace.close());

  const ofType = <T>(type: string, schema: z.ZodType<T>) =>
    resources.filter((resource) => resource.type === type).map(({ values }) => schema.parse(values));

  test("is valid, and an argument that the provider does not have is found", async () => {
    const { passed, output } = await workspace.run("validate");
    expect(passed, output).toBe(true);
    const wrongs = [
      ["registry", "is_immutable", "immutable", "Unsupported argument"],
      ["vault", "vault_type ", "vault_kind ", "Missing required argument"],
      ["streaming", '"oci_streaming_stream_pool"', '"oci_streaming_pool"', "Invalid resource type"],
    ] as const;
    const texts = await Promise.all(
      wrongs.map(async ([module, right, wrong]) => {
        const file = join(workspace.folder, "modules", module, "main.tf");
        const text = await readFile(file, "utf8");
        await writeFile(file, text.replace(right, wrong));
        return { file, text };
      }),
    );
    const refused = await workspace.run("validate");
    for (const [, , , why] of wrongs) expect(refused.output).toContain(why);
    await Promise.all(texts.map(({ file, text }) => writeFile(file, text)));
  });

  test.each(["development", "production", "high-scale"])("can be planned for %s", async (size) => {
    const planned = await workspace.plan({ size });
    expect(planned.every(({ actions }) => actions.join() === "create")).toBe(true);
    expect(planned.filter(({ type }) => type === "oci_containerengine_node_pool")).toHaveLength(2);
    // The gateway knows no way to the API before there is one.
    expect(planned.filter(({ type }) => type === "oci_apigateway_deployment")).toEqual([]);
  });

  test("refuses variables that cannot be meant", async () => {
    const variables = {
      replica_region: ["us-ashburn-1", "A copy in the same region"],
      compartment_id: ["somewhere", "begins with ocid1.compartment."],
      kubernetes_version: ["v1.28.2", "v1.30.0 or later"],
      size: ["huge", "One of development"],
    };
    const wrong = Object.fromEntries(Object.entries(variables).map(([name, [value]]) => [name, value]));
    const said = await workspace.plan(wrong).catch(String);
    for (const [, why] of Object.values(variables)) expect(said).toContain(why);
  });

  test("lets nobody in from outside but callers of the gateway and operators, and has no other list of rules", () => {
    const rules = ofType("oci_core_network_security_group_security_rule", Rule);
    expect(rules.length).toBeGreaterThan(30);
    const open = rules.filter(({ direction, source }) => direction === "INGRESS" && source?.includes("/"));
    const ports = open.flatMap(({ source, tcp_options }) =>
      tcp_options.flatMap(({ destination_port_range }) =>
        destination_port_range.map(({ min, max }) => [source, min, max]),
      ),
    );
    expect(ports).toEqual([
      ["0.0.0.0/0", 443, 443],
      ["10.0.3.0/28", 6443, 6443],
    ]);
    const outward = rules.filter(({ direction, destination }) => direction === "EGRESS" && destination === "0.0.0.0/0");
    for (const { tcp_options } of outward) {
      expect(tcp_options).toEqual([{ destination_port_range: [{ min: 443, max: 443 }] }]);
    }
    const List = z.looseObject({
      ingress_security_rules: z.array(z.never()),
      egress_security_rules: z.array(z.never()),
    });
    expect(ofType("oci_core_default_security_list", List)).toHaveLength(1);
    expect(resources.filter(({ type }) => type === "oci_core_security_list")).toEqual([]);
    const Subnet = z.looseObject({ display_name: z.string(), prohibit_public_ip_on_vnic: z.boolean() });
    const isPublic = ofType("oci_core_subnet", Subnet).filter((subnet) => !subnet.prohibit_public_ip_on_vnic);
    expect(isPublic.map(({ display_name }) => display_name)).toEqual(["flotilla-gateway"]);
  });

  test("removes what has ended after seven days, and never what is open or a blob", () => {
    const [{ rules } = { rules: [] }] = ofType("oci_objectstorage_object_lifecycle_policy", Lifecycle);
    const removing = rules.filter(({ target }) => target === "objects");
    expect(removing.map((rule) => [rule.time_amount, rule.object_name_filter[0]?.inclusion_prefixes])).toEqual([
      ["7", ["ended/"]],
      ["1", ["incoming/"]],
    ]);
    const Bucket = z.looseObject({ name: z.string(), access_type: z.literal("NoPublicAccess") });
    const names = ofType("oci_objectstorage_bucket", Bucket).map(({ name }) => name);
    expect(names.toSorted()).toEqual(["agent-audit", "agent-checkpoints", "agent-checkpoints-replica"]);
  });

  test("asks for a token on every route but the public ones, and bounds the rate of all", () => {
    const [deployment] = ofType("oci_apigateway_deployment", Deployment);
    const [specification] = deployment?.specification ?? [];
    const [policies] = specification?.request_policies ?? [];
    expect(policies).toMatchObject({
      authentication: [{ type: "JWT_AUTHENTICATION", token_header: "X-Gateway-Token" }],
      rate_limiting: [{ rate_key: "CLIENT_IP", rate_in_requests_per_second: 50 }],
    });
    const routes = specification?.routes ?? [];
    const anonymous = routes.filter((route) => route.request_policies[0]?.authorization[0]?.type === "ANONYMOUS");
    expect(anonymous.map(({ path }) => path)).toEqual(["/health", "/ready", "/openapi.json"]);
    const cancel = routes.find(({ path }) => path === "/v1/workflows/{id}/cancel");
    expect(cancel?.backend[0]?.url).toBe("http://10.0.2.20/v1/workflows/$\{request.path[id]}/cancel");
  });

  test("spreads the nodes over all availability domains", () => {
    for (const { node_config_details } of ofType("oci_containerengine_node_pool", Pool)) {
      const domains = node_config_details[0]?.placement_configs.map((one) => one.availability_domain);
      expect(domains).toEqual(["Xyza:IAD-AD-1", "Xyza:IAD-AD-2", "Xyza:IAD-AD-3"]);
    }
  });

  test("once applied asks for no change, and gives each role no more than it needs, in its own cluster", async () => {
    await workspace.plan(backend);
    const applied = await workspace.run("apply", "-input=false", "plan");
    expect(applied.passed, applied.output).toBe(true);
    const again = await workspace.plan(backend);
    expect(again.filter(({ actions }) => actions.join() !== "no-op")).toEqual([]);

    const state = State.parse(JSON.parse(await readFile(join(workspace.folder, "terraform.tfstate"), "utf8")));
    const Policy = z.looseObject({ statements: z.array(z.string()) });
    const statements = state.resources
      .filter(({ type }) => type === "oci_identity_policy")
      .flatMap(({ instances }) => instances.flatMap(({ attributes }) => Policy.parse(attributes).statements));
    expect(statements.length).toBeGreaterThan(10);
    for (const statement of statements) {
      expect(statement).toMatch(/ in compartment id ocid1\.compartment\./);
      expect(statement).not.toMatch(/all-resources|in tenancy|manage (?:buckets|keys|policies)/);
      if (!statement.startsWith("Allow any-user")) continue;
      // "any-user" is everybody of every tenancy that an omitted condition lets in.
      expect(statement).toMatch(
        /where all \{request\.principal\.type = '(?:workload', .*cluster_id = 'ocid1\..*service_account = 'flotilla-|(?:cluster|serviceconnector)', request\.principal\.compartment\.id = 'ocid1)/,
      );
      if (statement.includes("objects"))
        expect(statement).toMatch(/target\.bucket\.name = 'agent-(checkpoints|audit)'/);
    }
  });
});
