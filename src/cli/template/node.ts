/** The tree of a template, as Go's text/template has it. */

/** Something wrong in a template; `phase` decides how docker words it. */
export class TemplateError extends Error {
  readonly phase: "parse" | "execute";
  constructor(phase: "parse" | "execute", message: string) {
    super(message);
    this.phase = phase;
  }
}

interface At {
  /** Where it stands, as Go counts: line from 1, column from 0. */
  readonly line: number;
  readonly column: number;
  /** The source, for messages. */
  readonly source: string;
}

export type Operand =
  | (At & { readonly is: "literal"; readonly value: string | number | boolean | null })
  /** `.`, `.A.B` */
  | (At & { readonly is: "dot"; readonly fields: readonly string[] })
  /** `$`, `$x.A` */
  | (At & { readonly is: "variable"; readonly name: string; readonly fields: readonly string[] })
  /** `(…).A` */
  | (At & { readonly is: "nested"; readonly pipeline: Pipeline; readonly fields: readonly string[] })
  | (At & { readonly is: "function"; readonly name: string });

/** One command: a function with its arguments, a field with its arguments, or a single value. */
export interface Command {
  readonly operands: readonly [Operand, ...Operand[]];
  readonly source: string;
}

export interface Pipeline {
  readonly commands: readonly Command[];
  /** Variables that it sets: `$x :=`, `$i, $x :=` (range). */
  readonly variables: readonly string[];
  /** `=` instead of `:=`. */
  readonly assigns: boolean;
}

export type Node =
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "action"; readonly pipeline: Pipeline }
  | {
      readonly is: "if" | "with" | "range";
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | { readonly is: "break" | "continue" };
