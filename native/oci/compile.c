/* Build tool: compiles a JavaScript module to QuickJS bytecode. compile IN.js OUT.qjs */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

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

static int report(JSContext *ctx) {
  JSValue thrown = JS_GetException(ctx);
  const char *words = JS_ToCString(ctx, thrown), *stack = JS_ToCString(ctx, JS_GetPropertyStr(ctx, thrown, "stack"));
  fprintf(stderr, "compile: %s\n%s", words, stack);
  return 1;
}

int main(int argc, char **argv) {
  size_t length = 0, size = 0;
  char *text = argc == 3 ? read_whole(argv[1], &length) : NULL;
  if (text == NULL) {
    fprintf(stderr, "usage: compile IN.js OUT.qjs\n");
    return 2;
  }
  JSContext *ctx = JS_NewContext(JS_NewRuntime());
  /* Without positions: they are of the minified text, and reading them back takes time. */
  JSValue module = JS_Eval(ctx, text, length, "gantry-oci", JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY | JS_EVAL_FLAG_STRIP);
  if (JS_IsException(module)) return report(ctx);
  uint8_t *bytes = JS_WriteObject(ctx, &size, module, JS_WRITE_OBJ_BYTECODE);
  if (bytes == NULL) return report(ctx);
  FILE *out = fopen(argv[2], "wb");
  if (out == NULL || fwrite(bytes, 1, size, out) != size || fclose(out) != 0) {
    perror(argv[2]);
    return 1;
  }
  return 0;
}
