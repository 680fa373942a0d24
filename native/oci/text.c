/* TextEncoder and TextDecoder (UTF-8 only), and a JSON.parse that hostile nesting cannot crash. */
#include "host.h"

#include <stdlib.h>
#include <string.h>

/* QuickJS 2021 parses JSON recursively without looking at its stack. No file of ours nests a tenth as deep. */
enum { JSON_DEPTH_MOST = 512 };

/* Half of a surrogate pair comes from QuickJS as three bytes ED A0..BF xx, which is no UTF-8: U+FFFD has three bytes too. */
static void replace_lone_surrogates(uint8_t *bytes, size_t length) {
  for (size_t i = 0; i + 2 < length; i++)
    if (bytes[i] == 0xed && bytes[i + 1] >= 0xa0) memcpy(bytes + i, "\xef\xbf\xbd", 3);
}

HOST_FUNCTION(encode) {
  UNUSED_SELF;
  size_t length;
  const char *text = JS_IsUndefined(argv[0]) ? NULL : JS_ToCStringLen(ctx, &length, argv[0]);
  if (text == NULL) return JS_IsUndefined(argv[0]) ? make_bytes(ctx, "", 0) : JS_EXCEPTION;
  JSValue result = make_bytes(ctx, text, length);
  JS_FreeCString(ctx, text);
  struct bytes made;
  if (!JS_IsException(result) && take_bytes(ctx, result, &made)) replace_lone_surrogates((uint8_t *)(uintptr_t)made.data, made.length);
  return result;
}

/* The length of the sequence at `at`, or 0. @see Unicode 15, table 3-7 */
static size_t utf8_length(const uint8_t *at, size_t left) {
  uint8_t first = at[0];
  if (first < 0x80) return 1;
  size_t length = first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
  if (length == 0 || length > left) return 0;
  for (size_t i = 1; i < length; i++)
    if ((at[i] & 0xc0) != 0x80) return 0;
  bool overlong = (first == 0xe0 && at[1] < 0xa0) || (first == 0xf0 && at[1] < 0x90);
  bool beyond = (first == 0xed && at[1] >= 0xa0) || (first == 0xf4 && at[1] >= 0x90);
  return overlong || beyond ? 0 : length;
}

static bool is_utf8(const struct bytes *bytes) {
  for (size_t i = 0, step; i < bytes->length; i += step) {
    step = utf8_length(bytes->data + i, bytes->length - i);
    if (step == 0) return false;
  }
  return true;
}

HOST_FUNCTION(decode) {
  (void)argc;
  struct bytes bytes;
  if (JS_IsUndefined(argv[0])) return JS_NewString(ctx, "");
  if (!take_bytes(ctx, argv[0], &bytes)) return JS_EXCEPTION;
  JSValue fatal = JS_GetPropertyStr(ctx, self, "fatal");
  bool strict = JS_ToBool(ctx, fatal) > 0;
  JS_FreeValue(ctx, fatal);
  if (strict && !is_utf8(&bytes)) return JS_ThrowTypeError(ctx, "The encoded data was not valid UTF-8");
  size_t mark = bytes.length >= 3 && memcmp(bytes.data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
  return JS_NewStringLen(ctx, (const char *)bytes.data + mark, bytes.length - mark);
}

/* `new X(…)`: an object with X.prototype; TextDecoder's option `fatal` is kept in it. */
static JSValue construct(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv) {
  JSValue prototype = JS_GetPropertyStr(ctx, new_target, "prototype");
  if (JS_IsException(prototype)) return prototype;
  JSValue object = JS_NewObjectProto(ctx, prototype);
  JS_FreeValue(ctx, prototype);
  if (argc > 1 && JS_IsObject(argv[1])) set_member(ctx, object, "fatal", JS_GetPropertyStr(ctx, argv[1], "fatal"));
  return object;
}

static void add_class(JSContext *ctx, JSValueConst global, const char *name, const JSCFunctionListEntry *method) {
  JSValue constructor = JS_NewCFunction2(ctx, construct, name, 0, JS_CFUNC_constructor, 0);
  JSValue prototype = JS_NewObject(ctx);
  JS_SetPropertyFunctionList(ctx, prototype, method, 1);
  JS_SetConstructor(ctx, constructor, prototype);
  JS_FreeValue(ctx, prototype);
  JS_DefinePropertyValueStr(ctx, global, name, constructor, JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
}

static bool too_deep(const char *text, size_t length) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    if (quoted) {
      if (c == '\\') i++;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > JSON_DEPTH_MOST) return true;
    } else if (c == '}' || c == ']') {
      depth--;
    }
  }
  return false;
}

static JSValue parse_json(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int magic, JSValue *data) {
  (void)magic;
  size_t length;
  uint32_t units = UINT32_MAX;
  JSValue count = argc > 0 && JS_IsString(argv[0]) ? JS_GetPropertyStr(ctx, argv[0], "length") : JS_UNDEFINED;
  /* What is as short as this cannot nest as deep. */
  if (JS_IsNumber(count) && JS_ToUint32(ctx, &units, count) == 0 && units <= JSON_DEPTH_MOST)
    return JS_Call(ctx, data[0], self, argc, argv);
  const char *text = argc > 0 ? JS_ToCStringLen(ctx, &length, argv[0]) : NULL;
  if (text == NULL) return argc > 0 ? JS_EXCEPTION : JS_ThrowSyntaxError(ctx, "unexpected end of input");
  bool refused = too_deep(text, length);
  JS_FreeCString(ctx, text);
  if (refused) return JS_ThrowSyntaxError(ctx, "nested deeper than %d levels", JSON_DEPTH_MOST);
  return JS_Call(ctx, data[0], self, argc, argv);
}

static bool bound_json(JSContext *ctx, JSValueConst global) {
  JSValue json = JS_GetPropertyStr(ctx, global, "JSON"), parse = JS_GetPropertyStr(ctx, json, "parse");
  JSValue bounded = JS_NewCFunctionData(ctx, parse_json, 2, 0, 1, &parse);
  bool made = !JS_IsException(bounded);
  if (made) JS_DefinePropertyValueStr(ctx, json, "parse", bounded, JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
  JS_FreeValue(ctx, parse);
  JS_FreeValue(ctx, json);
  return made;
}

bool add_text_globals(JSContext *ctx, JSValueConst global) {
  static const JSCFunctionListEntry encoder[] = {JS_CFUNC_DEF("encode", 1, encode)};
  static const JSCFunctionListEntry decoder[] = {JS_CFUNC_DEF("decode", 1, decode)};
  add_class(ctx, global, "TextEncoder", encoder);
  add_class(ctx, global, "TextDecoder", decoder);
  return bound_json(ctx, global);
}
