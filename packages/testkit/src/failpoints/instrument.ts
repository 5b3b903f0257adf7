import { type Node, parseSync, Visitor } from "oxc-parser";

/** A place of a source at which a process can be made to die. */
export interface Failpoint {
  /**
   * `<path>:<function>:<number of the await in it>:<moment>`, such as `a.ts:Queue.#add:2:after`. `before` is with nothing
   * of the awaited begun, `after` with its answer in hand and nothing done with it.
   */
  name: string;
  line: number;
  /** What is awaited, without its white space: it tells awaits apart where their numbers may change. */
  code: string;
}

/** Every failpoint of a TypeScript source: two at each `await` and at each `for await`. */
export function failpointsIn(path: string, source: string): Failpoint[] {
  return lookInto(path, source).failpoints;
}

/**
 * The source with a call of `globalThis.passFailpoint(name, value?)` at every failpoint. The call gives back the value,
 * so the source does what it did; its lines stay where they are.
 */
export function instrument(path: string, source: string): string {
  const { insertions } = lookInto(path, source);
  const places = [...Map.groupBy(insertions, ({ at }) => at)].toSorted(([a], [b]) => a - b);
  let text = "";
  let done = 0;
  for (const [place, here] of places) {
    // What ends here is closed before the next begins, the inner before the outer, which was met first.
    const closing = here.filter(({ isClosing }) => isClosing).toReversed();
    const opening = here.filter(({ isClosing }) => !isClosing);
    text += source.slice(done, place) + [...closing, ...opening].map((insertion) => insertion.text).join("");
    done = place;
  }
  return text + source.slice(done);
}

interface Insertion {
  at: number;
  text: string;
  isClosing: boolean;
}

function lookInto(path: string, source: string): { failpoints: Failpoint[]; insertions: Insertion[] } {
  const { program, errors } = parseSync(path, source);
  if (errors.length > 0) throw new Error(`${path} does not parse: ${errors[0]?.message}`);
  const failpoints: Failpoint[] = [];
  const insertions: Insertion[] = [];
  const scopes: string[] = [];
  const numbers = new Map<string, number>();

  /** The names of an await's two failpoints, as they stand in the source. */
  const meet = (start: number, awaited: { start: number; end: number }) => {
    const scope = scopes.join(".");
    const number = (numbers.get(scope) ?? 0) + 1;
    numbers.set(scope, number);
    const line = source.slice(0, start).split("\n").length;
    const [before, after] = [`${path}:${scope}:${number}:before`, `${path}:${scope}:${number}:after`];
    const code = source.slice(awaited.start, awaited.end).replaceAll(/\s/g, "");
    failpoints.push({ name: before, line, code }, { name: after, line, code });
    return { before: JSON.stringify(before), after: JSON.stringify(after) };
  };
  const wrap = ({ start, end }: { start: number; end: number }, opening: string, closing: string) => {
    insertions.push({ at: start, text: opening, isClosing: false }, { at: end, text: closing, isClosing: true });
  };
  const enter = (name: string | undefined) => {
    if (name !== undefined) scopes.push(name);
  };
  const leave = (name: string | undefined) => {
    if (name !== undefined) scopes.pop();
  };

  new Visitor({
    ClassDeclaration: ({ id }) => enter(id?.name),
    "ClassDeclaration:exit": ({ id }) => leave(id?.name),
    MethodDefinition: ({ key }) => enter(nameOf(key)),
    "MethodDefinition:exit": ({ key }) => leave(nameOf(key)),
    FunctionDeclaration: ({ id }) => enter(id?.name),
    "FunctionDeclaration:exit": ({ id }) => leave(id?.name),
    VariableDeclarator: ({ id, init }) => enter(functionName(id, init)),
    "VariableDeclarator:exit": ({ id, init }) => leave(functionName(id, init)),
    Property: ({ key, value }) => enter(functionName(key, value)),
    "Property:exit": ({ key, value }) => leave(functionName(key, value)),

    AwaitExpression(node) {
      const { before, after } = meet(node.start, node.argument);
      // An argument is there before the call is made: the second call comes when the await is over.
      wrap(node, `(globalThis.passFailpoint(${before}), globalThis.passFailpoint(${after}, `, "))");
    },
    ForOfStatement(node) {
      if (!node.await) return;
      const { before, after } = meet(node.start, node.right);
      wrap(node.right, `globalThis.passFailpoint(${before}, `, ")");
      wrap(node.body, `{ globalThis.passFailpoint(${after}); `, " }");
    },
  }).visit(program);
  return { failpoints, insertions };
}

/** The name of what holds a function: a variable, or a property. */
function functionName(key: Node, value: Node | null): string | undefined {
  return value?.type === "ArrowFunctionExpression" || value?.type === "FunctionExpression" ? nameOf(key) : undefined;
}

function nameOf(key: Node): string | undefined {
  if (key.type === "Identifier") return key.name;
  return key.type === "PrivateIdentifier" ? `#${key.name}` : undefined;
}
