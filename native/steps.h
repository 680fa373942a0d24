/* The steps' functions, one each, grouped by file. All take the decoded payload and return 0 or -errno. */
#ifndef GANTRY_STEPS_H
#define GANTRY_STEPS_H

#include "run.h"

typedef int step_function(struct run *run, const struct arg *a);

/* steps-host.c */
step_function step_make_dir, step_write_file, step_join_cgroup, step_enter_cgroup, step_remove_file, step_write_pid_file;
/* steps-cgroup.c */
step_function step_remove_cgroup, step_cgroup_devices;
/* steps-limit.c */
step_function step_limit, step_fill_cpuset, step_cgroup_owner, step_warm_program;
/* steps-clone.c */
step_function step_clone, step_unshare, step_wait_parent;
/* steps-join.c */
step_function step_join_namespaces, step_join_paths;
/* steps-user.c */
step_function step_id_maps, step_user_namespace, step_namespaces_ready, step_time_namespace, step_child_rlimit;
/* steps-source.c */
step_function step_open_source;
/* steps-net.c */
step_function step_netlink;
/* Closes the sockets of the network namespace that is being left: by clone (the child has copies) or by joining. */
void netlink_forget(void);
/* steps-mount.c */
step_function step_mount_propagation, step_private_parent, step_root, step_mount, step_mount_attributes, step_remount, step_bind;
/* steps-overlay.c */
step_function step_overlay;
/* steps-tree.c */
step_function step_make_node, step_symlink, step_make_inside_dir;
/* steps-root.c */
step_function step_pivot_root, step_mask, step_read_only, step_remount_root, step_root_propagation;
/* steps-process.c */
step_function step_hostname, step_domainname, step_sysctl, step_rlimit, step_set_session, step_parent_death_signal,
    step_keyring, step_oom_score, step_chdir;
/* steps-rights.c */
step_function step_capabilities, step_ids, step_no_new_privs, step_seccomp;
/* steps-listener.c */
step_function step_seccomp_listener;
/* steps-priority.c */
step_function step_scheduler, step_io_priority, step_memory_policy, step_personality, step_cpu_affinity;
/* steps-label.c */
step_function step_security_label;
bool selinux_enabled(void);
/* Writes a label to a file of procfs, and to no other. */
int write_attribute(const char *path, const char *before, const char *label);
/* steps-home.c */
step_function step_home;
/* Adds what step home found, if there was one, to a list that has room for one more. */
void add_home(char **env);
/* steps-device.c */
step_function step_move_device;
/* steps-console.c */
step_function step_console;
/* steps-hook.c */
step_function step_ask_hooks, step_run_hook;
/* steps-exec.c */
step_function step_wait_start, step_exec;
/* steps-foreign.c */
step_function step_unmount_tree, step_become_parent, step_private_mounts, step_run_program, step_adopt, step_console_listen, step_child_netlink;

#endif
