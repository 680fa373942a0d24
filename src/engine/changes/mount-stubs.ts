/** Targets of the engine's own mounts in a container, which it makes where they are missing: empty, they are no change. */
export const mountStubs: ReadonlySet<string> = new Set(
  "dev/console dev/pts dev/shm dev/mqueue dev proc sys/fs/cgroup sys/fs sys etc/hosts etc/hostname etc/resolv.conf etc .dockerenv".split(
    " ",
  ),
);
