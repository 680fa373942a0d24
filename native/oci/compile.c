/* Build tool: compiles JavaScript modules to the pack of QuickJS bytecode that bundle.c reads. compile OUT.pack IN.js… */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

enum { MODULES_MOST = 256 };

struct module {
  uint32_t name, name_length, code, code_length;
};

static char *read_whole(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) return NULL;
  *length = (size_t)ftell(file);
  rewind(file);
  char *text = calloc(*length + 1, 1);
  if (text != NULL && fread(text, 1, *length, file) != *length) text = NULL;
  fclose(file);
  return text;
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

/* A module that is only compiled asks for none of its imports, but resolving their names does: any module will do. */
static JSModuleDef *empty_module(JSContext *ctx, const char *name, void *unused) {
  (void)unused;
  return JS_NewCModule(ctx, name, NULL);
}

static uint8_t *compile(const char *path, size_t *size) {
  size_t length;
  char *text = read_whole(path, &length);
  if (text == NULL) return perror(path), NULL;
  /* A context each: modules of one would be resolved against each other. */
  JSRuntime *runtime = JS_NewRuntime();
  JSContext *ctx = JS_NewContext(runtime);
  JS_SetModuleLoaderFunc(runtime, NULL, empty_module, NULL);
  /* Without positions: they are of the minified text, and reading them back takes time. */
  const int flags = JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY | JS_EVAL_FLAG_STRIP;
  JSValue module = JS_Eval(ctx, text, length, base_name(path), flags);
  uint8_t *code = JS_IsException(module) ? NULL : JS_WriteObject(ctx, size, module, JS_WRITE_OBJ_BYTECODE);
  if (code != NULL) return code;
  JSValue thrown = JS_GetException(ctx);
  fprintf(stderr, "compile: %s: %s\n%s", path, JS_ToCString(ctx, thrown),
          JS_ToCString(ctx, JS_GetPropertyStr(ctx, thrown, "stack")));
  return NULL;
}

int main(int argc, char **argv) {
  static struct module head[1 + MODULES_MOST];
  static uint8_t *code[MODULES_MOST];
  uint32_t count = argc > 2 && argc - 2 <= MODULES_MOST ? (uint32_t)(argc - 2) : 0;
  if (count == 0) return fprintf(stderr, "usage: compile OUT.pack IN.js...\n"), 2;
  head[0].name = count;
  uint32_t at = (1 + count) * (uint32_t)sizeof head[0];
  for (uint32_t i = 0; i < count; i++) {
    size_t size;
    code[i] = compile(argv[i + 2], &size);
    if (code[i] == NULL) return 1;
    uint32_t name_length = (uint32_t)strlen(base_name(argv[i + 2]));
    head[1 + i] = (struct module){at, name_length, at + name_length, (uint32_t)size};
    at += name_length + (uint32_t)size;
  }
  FILE *out = fopen(argv[1], "wb");
  if (out == NULL || fwrite(head, sizeof head[0], 1 + count, out) != 1 + count) return perror(argv[1]), 1;
  for (uint32_t i = 0; i < count; i++) {
    fwrite(base_name(argv[i + 2]), 1, head[1 + i].name_length, out);
    fwrite(code[i], 1, head[1 + i].code_length, out);
  }
  if (fclose(out) != 0) return perror(argv[1]), 1;
  return 0;
}
