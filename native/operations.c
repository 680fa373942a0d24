#include "operations.h"

#include "steps.h"

enum { M = 1 << SECTION_MONITOR | 1 << SECTION_TEARDOWN, C = 1 << SECTION_CONTAINER, H = 1 << SECTION_HOOKS };

/* Flat on purpose; sorted by code, with holes. */
static const struct operation operations[] = {
    {32, M | C, "make-dir", "s41", step_make_dir},
    {33, M | C, "write-file", "sb4", step_write_file},
    {34, M, "join-cgroup", "s", step_join_cgroup},
    {OP_CLONE, M, "clone", "8s", step_clone},
    {36, M | C, "netlink", "4M", step_netlink},
    {37, M, "remove-cgroup", "s", step_remove_cgroup},
    {38, M, "remove-file", "s", step_remove_file},
    {39, M, "write-pid-file", "s", step_write_pid_file},
    {40, M, "cgroup-devices", "sb", step_cgroup_devices},
    {41, M, "fill-cpuset", "ss", step_fill_cpuset},
    {42, M, "limit", "sSS1", step_limit},
    {43, M, "cgroup-owner", "s4", step_cgroup_owner},
    {44, M, "warm-program", "sS", step_warm_program},
    {OP_JOIN_NAMESPACES, C, "join-namespaces", "i88", step_join_namespaces},
    {OP_UNSHARE, C, "unshare", "8", step_unshare},
    {OP_WAIT_PARENT, C, "wait-parent", "", step_wait_parent},
    {68, C, "mount-propagation", "s8", step_mount_propagation},
    {69, M | C, "overlay", "sSsss", step_overlay},
    {70, C, "root", "s8", step_root},
    {71, C, "mount", "sss8s1s", step_mount},
    {72, C, "bind", "ss88811881", step_bind},
    {73, C, "make-node", "s44444", step_make_node},
    {74, C, "symlink", "ss1", step_symlink},
    {75, C, "make-inside-dir", "s444", step_make_inside_dir},
    {76, C, "pivot-root", "1", step_pivot_root},
    {77, C, "mask", "s", step_mask},
    {78, C, "read-only", "s", step_read_only},
    {79, C, "remount-root", "8", step_remount_root},
    {80, C, "hostname", "s", step_hostname},
    {81, C, "domainname", "s", step_domainname},
    {82, C, "sysctl", "ss", step_sysctl},
    {83, C, "rlimit", "488", step_rlimit},
    {84, C, "console", "1", step_console},
    {85, C, "set-session", "", step_set_session},
    {86, C, "capabilities", "888884", step_capabilities},
    {OP_IDS, C, "ids", "44U4", step_ids},
    {88, C, "no-new-privs", "", step_no_new_privs},
    {89, C, "seccomp", "b4", step_seccomp},
    {90, C, "chdir", "s1", step_chdir},
    {91, C, "parent-death-signal", "4", step_parent_death_signal},
    {OP_WAIT_START, C, "wait-start", "s", step_wait_start},
    {OP_EXEC, C, "exec", "SS1", step_exec},
    {94, C, "keyring", "s4s", step_keyring},
    {95, M | C, "oom-score", "i", step_oom_score},
    {98, C, "enter-cgroup", "s", step_enter_cgroup},
    {OP_ID_MAPS, M, "id-maps", "ss1ss44", step_id_maps},
    {101, C, "user-namespace", "441", step_user_namespace},
    {OP_NAMESPACES_READY, C, "namespaces-ready", "", step_namespaces_ready},
    {103, C, "time-namespace", "s", step_time_namespace},
    {OP_JOIN_PATHS, C, "join-paths", "SU", step_join_paths},
    {105, M, "open-source", "ss1ss", step_open_source},
    {107, M, "child-rlimit", "48", step_child_rlimit},
    {110, C, "private-parent", "s", step_private_parent},
    {111, C, "mount-attributes", "s88", step_mount_attributes},
    {112, C, "root-propagation", "8", step_root_propagation},
    {113, C, "remount", "s888s", step_remount},
    {OP_SECCOMP_LISTENER, C, "seccomp-listener", "b4sS", step_seccomp_listener},
    {121, C, "scheduler", "4i48888", step_scheduler},
    {122, C, "io-priority", "4", step_io_priority},
    {123, C, "memory-policy", "4b", step_memory_policy},
    {124, C, "personality", "4", step_personality},
    {125, M | C, "cpu-affinity", "b", step_cpu_affinity},
    {126, C, "security-label", "1s", step_security_label},
    {127, M, "move-device", "sss", step_move_device},
    {128, C, "home", "4", step_home},
    {132, M, "unmount-tree", "s", step_unmount_tree},
    {134, M, "become-parent", "", step_become_parent},
    {135, M, "private-mounts", "S", step_private_mounts},
    {136, M, "run-program", "SS41s", step_run_program},
    {OP_ADOPT, M, "adopt", "s", step_adopt},
    {138, M, "console-listen", "s", step_console_listen},
    {139, M, "child-netlink", "4M", step_child_netlink},
    {OP_ASK_HOOKS, C, "ask-hooks", "", step_ask_hooks},
    {OP_RUN_HOOK, H | C, "run-hook", "ssSS4b4s", step_run_hook},
};

const struct operation *operation_of(u16 op) {
  for (size_t i = 0; i < COUNT(operations); i++)
    if (operations[i].op == op) return &operations[i];
  return NULL;
}

int run_section(struct run *run, enum section section, u32 *index) {
  struct cursor cursor = {0};
  struct step step;
  struct arg args[MAX_ARGUMENTS];
  while (plan_next(&run->plan, &cursor, (int)section, &step)) {
    const struct operation *operation = operation_of(step.op);
    if (section == SECTION_CONTAINER) run->shared->step = step.index;
    last_failure = (struct failure){0};
    int result = decode(operation->signature, step.payload, step.length, args);
    if (!result) result = operation->act(run, args);
    if (result >= 0 || step.optional) continue;
    *index = step.index;
    return result;
  }
  return 0;
}
