/* Arguments from JavaScript, values and errors to it; see host.h. */
#include "host.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool take_path(JSContext *ctx, JSValueConst value, struct path *into) {
  size_t length;
  const char *text = JS_ToCStringLen(ctx, &length, value);
  if (text == NULL) return false;
  int error = length >= sizeof into->text ? ENAMETOOLONG : memchr(text, '\0', length) != NULL ? EINVAL : 0;
  if (error == 0) memcpy(into->text, text, length + 1);
  JS_FreeCString(ctx, text);
  if (error != 0) throw_errno(ctx, error, "path", NULL);
  return error == 0;
}

bool take_int(JSContext *ctx, JSValueConst value, int *into) {
  int64_t wide;
  if (!take_int64(ctx, value, &wide)) return false;
  if (wide < INT32_MIN || wide > UINT32_MAX) {
    JS_ThrowRangeError(ctx, "a number of 32 bits is wanted");
    return false;
  }
  *into = (int)wide;
  return true;
}

bool take_int64(JSContext *ctx, JSValueConst value, int64_t *into) {
  double number;
  if (!JS_IsNumber(value) || JS_ToFloat64(ctx, &number, value) != 0 || !(number >= -9007199254740992.0) ||
      !(number <= 9007199254740992.0)) {
    JS_ThrowTypeError(ctx, "a number is wanted");
    return false;
  }
  *into = (int64_t)number;
  return true;
}

bool take_bytes(JSContext *ctx, JSValueConst value, struct bytes *into) {
  size_t offset, length, each, whole;
  JSValue buffer = JS_GetTypedArrayBuffer(ctx, value, &offset, &length, &each);
  if (JS_IsException(buffer)) return false;
  uint8_t *data = JS_GetArrayBuffer(ctx, &whole, buffer);
  JS_FreeValue(ctx, buffer);
  if (data == NULL && length > 0) return false;
  *into = (struct bytes){data == NULL ? (const uint8_t *)"" : data + offset, length};
  return true;
}

void free_strings(char **strings) {
  if (strings == NULL) return;
  for (char **string = strings; *string != NULL; string++) free(*string);
  free(strings);
}

/* -1 after throwing. */
static int64_t list_length(JSContext *ctx, JSValueConst list, const char *what) {
  int64_t count = -1;
  JSValue length = JS_IsArray(ctx, list) > 0 ? JS_GetPropertyStr(ctx, list, "length") : JS_UNDEFINED;
  if (!JS_IsNumber(length) || JS_ToInt64(ctx, &count, length) != 0) {
    JS_ThrowTypeError(ctx, "%s must be a list", what);
    count = -1;
  } else if (count > HOST_MAX_ITEMS) {
    throw_errno(ctx, E2BIG, what, NULL);
    count = -1;
  }
  JS_FreeValue(ctx, length);
  return count;
}

static char *copy_item(JSContext *ctx, JSValueConst list, uint32_t index, const char *what) {
  JSValue item = JS_GetPropertyUint32(ctx, list, index);
  size_t length;
  const char *text = JS_IsString(item) ? JS_ToCStringLen(ctx, &length, item) : NULL;
  char *copy = NULL;
  if (text == NULL) {
    JS_ThrowTypeError(ctx, "%s must hold strings", what);
  } else if (memchr(text, '\0', length) != NULL) {
    throw_errno(ctx, EINVAL, what, NULL);
  } else {
    copy = strdup(text);
    if (copy == NULL) JS_ThrowOutOfMemory(ctx);
  }
  if (text != NULL) JS_FreeCString(ctx, text);
  JS_FreeValue(ctx, item);
  return copy;
}

char **take_strings(JSContext *ctx, JSValueConst list, const char *what) {
  int64_t count = list_length(ctx, list, what);
  if (count < 0) return NULL;
  char **strings = calloc((size_t)count + 1, sizeof *strings);
  if (strings == NULL) return (void)JS_ThrowOutOfMemory(ctx), NULL;
  for (uint32_t i = 0; i < (uint32_t)count; i++) {
    strings[i] = copy_item(ctx, list, i, what);
    if (strings[i] == NULL) return free_strings(strings), NULL;
  }
  return strings;
}

int take_fds(JSContext *ctx, JSValueConst list, int *fds) {
  int64_t count = list_length(ctx, list, "fds");
  if (count > HOST_MAX_FDS) return throw_errno(ctx, E2BIG, "fds", NULL), -1;
  for (uint32_t i = 0; count > 0 && i < (uint32_t)count; i++) {
    JSValue item = JS_GetPropertyUint32(ctx, list, i);
    bool taken = take_int(ctx, item, &fds[i]);
    JS_FreeValue(ctx, item);
    if (!taken) return -1;
  }
  return (int)count;
}

bool take_member_path(JSContext *ctx, JSValueConst object, const char *name, struct path *into, bool *present) {
  JSValue value = JS_GetPropertyStr(ctx, object, name);
  *present = !JS_IsUndefined(value);
  bool taken = !JS_IsException(value) && (!*present || take_path(ctx, value, into));
  JS_FreeValue(ctx, value);
  return taken;
}

bool take_member_strings(JSContext *ctx, JSValueConst object, const char *name, char ***into) {
  JSValue value = JS_GetPropertyStr(ctx, object, name);
  *into = JS_IsUndefined(value) ? NULL : take_strings(ctx, value, name);
  bool taken = !JS_IsException(value) && (JS_IsUndefined(value) || *into != NULL);
  JS_FreeValue(ctx, value);
  return taken;
}

bool take_member_int64(JSContext *ctx, JSValueConst object, const char *name, int64_t *into) {
  JSValue value = JS_GetPropertyStr(ctx, object, name);
  bool taken = !JS_IsException(value) && take_int64(ctx, value, into);
  JS_FreeValue(ctx, value);
  return taken;
}

void set_member(JSContext *ctx, JSValueConst object, const char *name, JSValue value) {
  JS_DefinePropertyValueStr(ctx, object, name, value, JS_PROP_C_W_E);
}

/* "ENOENT: no such file or directory, open '/x'", as node words it. */
JSValue throw_errno(JSContext *ctx, int error, const char *call, const char *path) {
  const char *name = strerrorname_np(error), *words = strerrordesc_np(error);
  if (name == NULL) name = "UNKNOWN";
  if (words == NULL) words = "unknown error";
  char message[HOST_PATH_MAX + 256];
  snprintf(message, sizeof message, path == NULL ? "%s: %c%s, %s" : "%s: %c%s, %s '%s'", name, tolower(words[0]),
           words[0] == '\0' ? "" : words + 1, call, path);
  JSValue exception = JS_NewError(ctx);
  if (JS_IsException(exception)) return exception;
  const int hidden = JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE;
  JS_DefinePropertyValueStr(ctx, exception, "message", JS_NewString(ctx, message), hidden);
  set_member(ctx, exception, "code", JS_NewString(ctx, name));
  set_member(ctx, exception, "errno", JS_NewInt32(ctx, error));
  set_member(ctx, exception, "syscall", JS_NewString(ctx, call));
  if (path != NULL) set_member(ctx, exception, "path", JS_NewString(ctx, path));
  return JS_Throw(ctx, exception);
}

JSValue done_or_throw(JSContext *ctx, int result, const char *call, const char *path) {
  return result == 0 ? JS_UNDEFINED : throw_errno(ctx, errno, call, path);
}

JSValue number_or_throw(JSContext *ctx, int64_t result, const char *call, const char *path) {
  return result < 0 ? throw_errno(ctx, errno, call, path) : JS_NewInt64(ctx, result);
}

JSValue make_bytes(JSContext *ctx, const void *data, size_t length) {
  JSValue buffer = JS_NewArrayBufferCopy(ctx, data, length);
  if (JS_IsException(buffer)) return buffer;
  JSValue global = JS_GetGlobalObject(ctx), constructor = JS_GetPropertyStr(ctx, global, "Uint8Array");
  JSValue array = JS_CallConstructor(ctx, constructor, 1, &buffer);
  JS_FreeValue(ctx, constructor);
  JS_FreeValue(ctx, global);
  JS_FreeValue(ctx, buffer);
  return array;
}

JSValue make_strings(JSContext *ctx, char *const *strings) {
  JSValue list = JS_NewArray(ctx);
  for (uint32_t i = 0; strings[i] != NULL; i++)
    JS_DefinePropertyValueUint32(ctx, list, i, JS_NewString(ctx, strings[i]), JS_PROP_C_W_E);
  return list;
}
