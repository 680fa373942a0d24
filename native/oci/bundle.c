/*
 * The verbs as bytecode, embedded: modules that are read when they are first wanted. compile.c writes the pack: how many
 * modules, then for each its name's and its code's length and place, then names and code. Numbers are u32 of this machine.
 */
#include "host.h"

#include <string.h>

extern const uint8_t bundle_start[];
__asm__(".section .rodata.bundle,\"a\"\n"
        ".balign 16\n"
        ".global bundle_start\n"
        "bundle_start: .incbin \"" BUNDLE "\"\n"
        ".previous\n");

struct module {
  uint32_t name, name_length, code, code_length;
};

static const struct module *find_module(const char *name) {
  uint32_t count;
  memcpy(&count, bundle_start, sizeof count);
  const struct module *all = (const void *)(bundle_start + sizeof(struct module));
  for (uint32_t i = 0; i < count; i++) {
    if (all[i].name_length == strlen(name) && memcmp(bundle_start + all[i].name, name, all[i].name_length) == 0) return &all[i];
  }
  return NULL;
}

static JSValue read_module(JSContext *ctx, const char *name) {
  const struct module *module = find_module(name);
  if (module == NULL) return JS_ThrowReferenceError(ctx, "gantry-oci has no module %s", name);
  return JS_ReadObject(ctx, bundle_start + module->code, module->code_length, JS_READ_OBJ_BYTECODE);
}

/* QuickJS asks for what a module imports. A module that is known to it is not asked for. */
static JSModuleDef *load_import(JSContext *ctx, const char *name, void *unused) {
  (void)unused;
  JSValue module = read_module(ctx, name);
  if (JS_IsException(module)) return NULL;
  JSModuleDef *definition = JS_VALUE_GET_PTR(module);
  /* The context holds it. */
  JS_FreeValue(ctx, module);
  return definition;
}

void enable_modules(JSRuntime *runtime) { JS_SetModuleLoaderFunc(runtime, NULL, load_import, NULL); }

bool run_module(JSContext *ctx, const char *name) {
  JSValue module = read_module(ctx, name);
  if (JS_IsException(module) || JS_ResolveModule(ctx, module) != 0) return false;
  JSValue result = JS_EvalFunction(ctx, module);
  bool done = !JS_IsException(result);
  JS_FreeValue(ctx, result);
  return done;
}

HOST_FUNCTION(host_load) {
  UNUSED_SELF;
  struct path name;
  if (!take_path(ctx, argv[0], &name)) return JS_EXCEPTION;
  return run_module(ctx, name.text) ? JS_UNDEFINED : JS_EXCEPTION;
}

static const JSCFunctionListEntry entries[] = {JS_CFUNC_DEF("load", 1, host_load)};
HOST_TABLE(host_bundle_table, entries);
