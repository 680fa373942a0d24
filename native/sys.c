/* The addon's entry, its argument readers and its value makers; see sys.h. */
#include "sys.h"

#include <stdio.h>
#include <string.h>

struct call begin_call(napi_env env, napi_callback_info info) {
  struct call call = {.env = env};
  size_t count = SYS_MAX_ARGUMENTS;
  if (napi_get_cb_info(env, info, &count, call.argument, NULL, NULL) != napi_ok) call.failed = true;
  return call;
}

static void refuse(struct call *call, unsigned index, const char *wanted) {
  if (call->failed) return;
  call->failed = true;
  char message[64];
  snprintf(message, sizeof message, "argument %u must be %s", index + 1, wanted);
  napi_throw_type_error(call->env, "ERR_INVALID_ARG_TYPE", message);
}

int32_t take_int(struct call *call, unsigned index) {
  double value = 0;
  if (napi_get_value_double(call->env, call->argument[index], &value) != napi_ok ||
      !(value >= INT32_MIN && value <= INT32_MAX) || (double)(int32_t)value != value) {
    refuse(call, index, "a 32 bit integer");
    return -1;
  }
  return (int32_t)value;
}

uint32_t take_uint(struct call *call, unsigned index) {
  double value = 0;
  if (napi_get_value_double(call->env, call->argument[index], &value) != napi_ok ||
      !(value >= 0 && value <= UINT32_MAX) || (double)(uint32_t)value != value) {
    refuse(call, index, "an unsigned 32 bit integer");
    return 0;
  }
  return (uint32_t)value;
}

int64_t take_bigint(struct call *call, unsigned index) {
  int64_t value = 0;
  bool lossless = false;
  if (napi_get_value_bigint_int64(call->env, call->argument[index], &value, &lossless) != napi_ok || !lossless) {
    refuse(call, index, "a bigint of 64 bits");
    return 0;
  }
  return value;
}

bool take_bool(struct call *call, unsigned index) {
  bool value = false;
  if (napi_get_value_bool(call->env, call->argument[index], &value) != napi_ok) refuse(call, index, "a boolean");
  return value;
}

void take_string(struct call *call, unsigned index, char *into, size_t size) {
  into[0] = '\0';
  size_t length = 0;
  if (napi_get_value_string_utf8(call->env, call->argument[index], NULL, 0, &length) != napi_ok) {
    refuse(call, index, "a string");
    return;
  }
  if (call->failed) return;
  if (length >= size) {
    call->failed = true;
    throw_errno(call->env, ENAMETOOLONG, "argument", NULL);
    return;
  }
  napi_get_value_string_utf8(call->env, call->argument[index], into, size, &length);
  if (strlen(into) != length) {
    call->failed = true;
    throw_errno(call->env, EINVAL, "argument", "a string with a NUL byte");
  }
}

struct bytes take_bytes(struct call *call, unsigned index) {
  napi_typedarray_type type;
  struct bytes bytes = {0};
  void *data = NULL;
  bool is_typed_array = false;
  if (napi_is_typedarray(call->env, call->argument[index], &is_typed_array) != napi_ok || !is_typed_array ||
      napi_get_typedarray_info(call->env, call->argument[index], &type, &bytes.length, &data, NULL, NULL) != napi_ok ||
      type != napi_uint8_array) {
    refuse(call, index, "a Uint8Array");
    return (struct bytes){0};
  }
  bytes.data = data;
  return bytes;
}

void take_path(struct call *call, unsigned index, char *into, size_t size) {
  bool is_typed_array = false;
  if (napi_is_typedarray(call->env, call->argument[index], &is_typed_array) != napi_ok || !is_typed_array) {
    take_string(call, index, into, size);
    return;
  }
  into[0] = '\0';
  struct bytes bytes = take_bytes(call, index);
  if (call->failed) return;
  int error = bytes.length >= size ? ENAMETOOLONG : bytes.length > 0 && memchr(bytes.data, 0, bytes.length) != NULL ? EINVAL : 0;
  if (error != 0) {
    call->failed = true;
    throw_errno(call->env, error, "argument", NULL);
    return;
  }
  if (bytes.length > 0) memcpy(into, bytes.data, bytes.length);
  into[bytes.length] = '\0';
}

napi_value throw_errno(napi_env env, int error, const char *syscall, const char *detail) {
  const char *name = strerrorname_np(error);
  const char *words = strerrordesc_np(error);
  char message[SYS_PATH_MAX + 256];
  int length = snprintf(message, sizeof message, detail == NULL ? "%s: %s, %s" : "%s: %s, %s '%s'",
                        name == NULL ? "UNKNOWN" : name, words == NULL ? "unknown error" : words, syscall, detail);
  if (length < 0) message[0] = '\0';
  napi_value text, code, exception, call_name;
  if (napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text) != napi_ok ||
      napi_create_string_utf8(env, name == NULL ? "UNKNOWN" : name, NAPI_AUTO_LENGTH, &code) != napi_ok ||
      napi_create_error(env, code, text, &exception) != napi_ok ||
      napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &call_name) != napi_ok) {
    return NULL;
  }
  set_field(env, exception, "errno", make_int(env, error));
  set_field(env, exception, "syscall", call_name);
  napi_throw(env, exception);
  return NULL;
}

napi_value make_int(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

napi_value make_bigint(napi_env env, uint64_t value) {
  napi_value result = NULL;
  napi_create_bigint_uint64(env, value, &result);
  return result;
}

napi_value make_undefined(napi_env env) {
  napi_value result = NULL;
  napi_get_undefined(env, &result);
  return result;
}

napi_value make_bytes(napi_env env, const void *data, size_t length) {
  void *copy = NULL;
  napi_value buffer, array;
  if (napi_create_arraybuffer(env, length, &copy, &buffer) != napi_ok) return NULL;
  if (length > 0) memcpy(copy, data, length);
  if (napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &array) != napi_ok) return NULL;
  return array;
}

void set_field(napi_env env, napi_value object, const char *name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

napi_value done_or_throw(napi_env env, int result, const char *syscall, const char *detail) {
  return result == 0 ? make_undefined(env) : throw_errno(env, errno, syscall, detail);
}

static bool add_functions(napi_env env, napi_value exports, const struct sys_function *table) {
  for (; table->name != NULL; table++) {
    napi_value function;
    if (napi_create_function(env, table->name, NAPI_AUTO_LENGTH, table->function, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, table->name, function) != napi_ok) {
      return false;
    }
  }
  return true;
}

NAPI_MODULE_INIT() {
  bool added = add_functions(env, exports, sys_process_functions) && add_functions(env, exports, sys_wait_functions) &&
               add_functions(env, exports, sys_netlink_functions) && add_functions(env, exports, sys_socket_functions) &&
               add_functions(env, exports, sys_mount_functions) && add_functions(env, exports, sys_file_functions);
  return added ? exports : NULL;
}
