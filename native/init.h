#ifndef GANTRY_INIT_H
#define GANTRY_INIT_H
/* Mode init: PID 1 of a container. `argv` is the command. Returns the exit code. */
int init_main(char **argv);
#endif
