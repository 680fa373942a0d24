#ifndef GANTRY_INIT_H
#define GANTRY_INIT_H
/* Mode init: PID 1 of a container. `argv` is the command. Returns the exit code. */
int init_main(char **argv);
/* Mode confine: executes a program without network and with few rights. `argv` is the mask, `--`, the command. */
int confine_main(char **argv);
#endif
