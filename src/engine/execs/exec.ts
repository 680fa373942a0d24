/** A command that runs in a container beside its first one. */

/** What POST /containers/{id}/exec asks for. */
export interface ExecConfig {
  readonly cmd: readonly string[];
  /** KEY=VALUE, on top of the container's. */
  readonly env: readonly string[];
  /** As `--user`: "" is the container's. */
  readonly user: string;
  /** "" is the container's. */
  readonly workingDir: string;
  readonly tty: boolean;
  readonly privileged: boolean;
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
  readonly detachKeys: string;
  /** Of its terminal, for a start that says nothing; 0 by 0: not told. */
  readonly consoleSize?: readonly [rows: number, cols: number];
}

/** What is known of an exec. */
export interface ExecView {
  readonly id: string;
  readonly containerId: string;
  readonly config: ExecConfig;
  readonly running: boolean;
  /** Undefined until it has ended; 126 or 127 when it could not be started. */
  readonly exitCode: number | undefined;
  /** In the host's pid namespace; 0 before the start. */
  readonly pid: number;
}

/** @param attach undefined: detached */
export interface ExecStart {
  readonly attach?: AttachedStreams | undefined;
  readonly rows: number;
  readonly cols: number;
}

export interface AttachedStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}
