/** Signals we receive, passed on to the container. */

/** Numbers of the signals that a program can catch, on Linux (x86, arm); those of job control and of children stay ours. */
const numbers = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGCONT: 18,
} as const;

/** Calls `pass` for each signal until the returned function is called. */
export function forwardSignals(pass: (number: number) => void): () => void {
  const entries = Object.entries(numbers).map(([name, number]) => [name, () => pass(number)] as const);
  for (const [name, handler] of entries) process.on(name, handler);
  return () => {
    for (const [name, handler] of entries) process.off(name, handler);
  };
}
