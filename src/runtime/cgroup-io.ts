/**
 * What the cgroup functions ask of the machine. gantry-oci gives its C host (oci/host-cgroups.ts), the engine node
 * (cgroup-io-node.ts), tests a map. Errors carry the errno's name in `code`.
 */
export interface CgroupIo {
  /** The text of a control file; undefined when the file or its cgroup is not there, or the kernel does not fill it. */
  read(path: string): string | undefined;
  /** Into a file that exists; never makes one. */
  write(path: string, text: string): void;
  /** The names in a directory; undefined when it is not there, or is no directory. */
  list(dir: string): readonly string[] | undefined;
  mkdir(path: string): void;
  rmdir(path: string): void;
  /** rmdir of a cgroup and of those below it, however deep. Missing: they are removed one by one. */
  removeDeep?(path: string): void;
  kill(pid: number, signal: number): void;
  sleep(ms: number): void;
  /** v2: replaces the device program of a cgroup. Missing: this caller never does. */
  setDeviceProgram?(dir: string, instructions: Uint8Array): void;
}
