#include "CPKCS11.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CKF_OS_LOCKING_OK 0x2UL
#define CKF_TOKEN_INITIALIZED 0x400UL
#define CKU_USER 1UL
#define CKS_RO_USER_FUNCTIONS 1UL
#define CKS_RW_USER_FUNCTIONS 3UL

typedef unsigned char CK_BBOOL;

typedef struct {
    unsigned char major;
    unsigned char minor;
} CK_VERSION;

typedef struct {
    unsigned char label[32];
    unsigned char manufacturer[32];
    unsigned char model[16];
    unsigned char serial_number[16];
    CK_ULONG flags;
    // Numbers of sessions, lengths of PINs and sizes of memory.
    CK_ULONG counts[10];
    CK_VERSION hardware_version;
    CK_VERSION firmware_version;
    unsigned char utc_time[16];
} CK_TOKEN_INFO;

typedef struct {
    CK_SLOT_ID slot;
    CK_ULONG state;
    CK_ULONG flags;
    CK_ULONG device_error;
} CK_SESSION_INFO;

typedef struct {
    CK_ULONG mechanism;
    void *parameter;
    CK_ULONG parameter_length;
} CK_MECHANISM;

typedef struct {
    CK_ULONG type;
    void *value;
    CK_ULONG value_length;
} CK_ATTRIBUTE;

typedef void (*gap)(void);

typedef struct {
    void *create_mutex, *destroy_mutex, *lock_mutex, *unlock_mutex;
    CK_ULONG flags;
    void *reserved;
} initialize_arguments;

// CK_FUNCTION_LIST: the order is the standard's.
typedef struct {
    CK_VERSION version;
    CK_RV (*initialize)(initialize_arguments *);
    gap finalize, get_info, get_function_list;
    CK_RV (*get_slot_list)(CK_BBOOL, CK_SLOT_ID *, CK_ULONG *);
    gap get_slot_info;
    CK_RV (*get_token_info)(CK_SLOT_ID, CK_TOKEN_INFO *);
    gap get_mechanism_list, get_mechanism_info, init_token, init_pin, set_pin;
    CK_RV (*open_session)(CK_SLOT_ID, CK_ULONG, void *, void *, CK_SESSION_HANDLE *);
    CK_RV (*close_session)(CK_SESSION_HANDLE);
    CK_RV (*close_all_sessions)(CK_SLOT_ID);
    CK_RV (*get_session_info)(CK_SESSION_HANDLE, CK_SESSION_INFO *);
    gap get_operation_state, set_operation_state;
    CK_RV (*login)(CK_SESSION_HANDLE, CK_ULONG, unsigned char *, CK_ULONG);
    gap logout, create_object, copy_object;
    CK_RV (*destroy_object)(CK_SESSION_HANDLE, CK_OBJECT_HANDLE);
    gap get_object_size;
    CK_RV (*get_attribute_value)(CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_ATTRIBUTE *, CK_ULONG);
    gap set_attribute_value;
    CK_RV (*find_objects_init)(CK_SESSION_HANDLE, CK_ATTRIBUTE *, CK_ULONG);
    CK_RV (*find_objects)(CK_SESSION_HANDLE, CK_OBJECT_HANDLE *, CK_ULONG, CK_ULONG *);
    CK_RV (*find_objects_final)(CK_SESSION_HANDLE);
    // C_EncryptInit to C_DigestFinal.
    gap encrypt_and_digest[13];
    CK_RV (*sign_init)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
    CK_RV (*sign)(CK_SESSION_HANDLE, unsigned char *, CK_ULONG, unsigned char *, CK_ULONG *);
    // C_SignUpdate to C_GenerateKey.
    gap sign_update_and_verify[15];
    CK_RV (*generate_key_pair)(
        CK_SESSION_HANDLE, CK_MECHANISM *, CK_ATTRIBUTE *, CK_ULONG, CK_ATTRIBUTE *, CK_ULONG, CK_OBJECT_HANDLE *,
        CK_OBJECT_HANDLE *);
    // C_WrapKey to C_WaitForSlotEvent.
    gap wrap_and_rest[8];
} function_list;

_Static_assert(sizeof(function_list) == 69 * sizeof(gap), "the standard has 68 functions after the version");
_Static_assert(offsetof(function_list, sign) == 44 * sizeof(gap), "C_Sign is the 44th function");
_Static_assert(offsetof(function_list, generate_key_pair) == 60 * sizeof(gap), "C_GenerateKeyPair is the 60th");
_Static_assert(sizeof(CK_TOKEN_INFO) == 208, "CK_TOKEN_INFO as on 64-bit Unix");

struct mintmark_pkcs11 {
    const function_list *functions;
};

mintmark_pkcs11 *mintmark_pkcs11_load(const char *path, char *reason, size_t reason_length) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *error = dlerror();
        snprintf(reason, reason_length, "%s", error ? error : "it cannot be loaded");
        return NULL;
    }
    CK_RV (*get_function_list)(function_list **);
    *(void **)&get_function_list = dlsym(library, "C_GetFunctionList");
    function_list *functions = NULL;
    if (get_function_list == NULL || get_function_list(&functions) != CKR_OK || functions == NULL) {
        snprintf(reason, reason_length, "it is not a PKCS #11 module");
        dlclose(library);
        return NULL;
    }
    if (functions->version.major != 2) {
        snprintf(reason, reason_length, "it speaks version %u of PKCS #11, not 2", functions->version.major);
        dlclose(library);
        return NULL;
    }
    mintmark_pkcs11 *module = malloc(sizeof *module);
    if (module == NULL) {
        snprintf(reason, reason_length, "there is no memory left");
        dlclose(library);
        return NULL;
    }
    module->functions = functions;
    return module;
}

#define CALL(function, ...)                                     \
    (module->functions->function == NULL ? CKR_FUNCTION_NOT_SUPPORTED \
                                         : module->functions->function(__VA_ARGS__))

CK_RV mintmark_pkcs11_initialize(mintmark_pkcs11 *module) {
    initialize_arguments arguments = {.flags = CKF_OS_LOCKING_OK};
    return CALL(initialize, &arguments);
}

CK_RV mintmark_pkcs11_slots(mintmark_pkcs11 *module, CK_SLOT_ID *slots, CK_ULONG *count) {
    return CALL(get_slot_list, 1, slots, count);
}

CK_RV mintmark_pkcs11_label(mintmark_pkcs11 *module, CK_SLOT_ID slot, uint8_t label[32]) {
    CK_TOKEN_INFO info = {.flags = 0};
    CK_RV result = CALL(get_token_info, slot, &info);
    if (result == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED) == 0) result = CKR_TOKEN_NOT_RECOGNIZED;
    if (result == CKR_OK) memcpy(label, info.label, sizeof info.label);
    return result;
}

CK_RV mintmark_pkcs11_open(mintmark_pkcs11 *module, CK_SLOT_ID slot, CK_ULONG flags, CK_SESSION_HANDLE *session) {
    return CALL(open_session, slot, flags | CKF_SERIAL_SESSION, NULL, NULL, session);
}

CK_RV mintmark_pkcs11_close(mintmark_pkcs11 *module, CK_SESSION_HANDLE session) {
    return CALL(close_session, session);
}

CK_RV mintmark_pkcs11_close_all(mintmark_pkcs11 *module, CK_SLOT_ID slot) {
    return CALL(close_all_sessions, slot);
}

CK_RV mintmark_pkcs11_login(mintmark_pkcs11 *module, CK_SESSION_HANDLE session, const uint8_t *pin, CK_ULONG length) {
    return CALL(login, session, CKU_USER, (unsigned char *)pin, length);
}

CK_RV mintmark_pkcs11_logged_in(mintmark_pkcs11 *module, CK_SESSION_HANDLE session) {
    CK_SESSION_INFO info = {.state = 0};
    CK_RV result = CALL(get_session_info, session, &info);
    if (result != CKR_OK) return result;
    return info.state == CKS_RW_USER_FUNCTIONS || info.state == CKS_RO_USER_FUNCTIONS ? CKR_OK
                                                                                       : CKR_USER_NOT_LOGGED_IN;
}

CK_RV mintmark_pkcs11_destroy(mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
    return CALL(destroy_object, session, object);
}

CK_RV mintmark_pkcs11_attribute(
    mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG type, uint8_t *value,
    CK_ULONG *length) {
    CK_ATTRIBUTE attribute = {.type = type, .value = value, .value_length = *length};
    CK_RV result = CALL(get_attribute_value, session, object, &attribute, 1);
    *length = attribute.value_length;
    return result;
}

void mintmark_pkcs11_write(CK_ULONG number, uint8_t bytes[sizeof(CK_ULONG)]) { memcpy(bytes, &number, sizeof number); }

// Reads a template. The attributes point into it.
static CK_RV read_template(
    const uint8_t *template, size_t length, CK_ATTRIBUTE attributes[MINTMARK_PKCS11_MAXIMUM_ATTRIBUTES],
    CK_ULONG *count) {
    const size_t unit = sizeof(CK_ULONG);
    size_t position = 0;
    *count = 0;
    while (position < length) {
        if (*count == MINTMARK_PKCS11_MAXIMUM_ATTRIBUTES || length - position < 2 * unit) return CKR_ARGUMENTS_BAD;
        CK_ATTRIBUTE *attribute = &attributes[*count];
        memcpy(&attribute->type, template + position, unit);
        memcpy(&attribute->value_length, template + position + unit, unit);
        position += 2 * unit;
        if (attribute->value_length > length - position) return CKR_ARGUMENTS_BAD;
        attribute->value = (void *)(template + position);
        size_t padded = (attribute->value_length + unit - 1) / unit * unit;
        if (padded > length - position) return CKR_ARGUMENTS_BAD;
        position += padded;
        *count += 1;
    }
    return CKR_OK;
}

CK_RV mintmark_pkcs11_find(
    mintmark_pkcs11 *module, CK_SESSION_HANDLE session, const uint8_t *template, size_t length,
    CK_OBJECT_HANDLE *objects, CK_ULONG *found) {
    CK_ULONG room = *found;
    *found = 0;
    CK_ATTRIBUTE attributes[MINTMARK_PKCS11_MAXIMUM_ATTRIBUTES];
    CK_ULONG count;
    CK_RV result = read_template(template, length, attributes, &count);
    if (result == CKR_OK) result = CALL(find_objects_init, session, attributes, count);
    if (result != CKR_OK) return result;
    // A module may hand out fewer at a time than there is room for.
    while (*found < room) {
        CK_ULONG more = 0;
        result = CALL(find_objects, session, objects + *found, room - *found, &more);
        if (result == CKR_OK && more > room - *found) result = CKR_GENERAL_ERROR;
        if (result != CKR_OK || more == 0) break;
        *found += more;
    }
    CK_RV ended = CALL(find_objects_final, session);
    return result == CKR_OK ? ended : result;
}

CK_RV mintmark_pkcs11_generate(
    mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_ULONG mechanism, const uint8_t *public_template,
    size_t public_length, const uint8_t *private_template, size_t private_length, CK_OBJECT_HANDLE *public_key,
    CK_OBJECT_HANDLE *private_key) {
    CK_ATTRIBUTE public_attributes[MINTMARK_PKCS11_MAXIMUM_ATTRIBUTES];
    CK_ATTRIBUTE private_attributes[MINTMARK_PKCS11_MAXIMUM_ATTRIBUTES];
    CK_ULONG public_count, private_count;
    CK_RV result = read_template(public_template, public_length, public_attributes, &public_count);
    if (result == CKR_OK) result = read_template(private_template, private_length, private_attributes, &private_count);
    if (result != CKR_OK) return result;
    CK_MECHANISM chosen = {.mechanism = mechanism};
    return CALL(
        generate_key_pair, session, &chosen, public_attributes, public_count, private_attributes, private_count,
        public_key, private_key);
}

CK_RV mintmark_pkcs11_sign(
    mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_ULONG mechanism, CK_OBJECT_HANDLE key, const uint8_t *data,
    CK_ULONG length, uint8_t *signature, CK_ULONG *signature_length) {
    CK_MECHANISM chosen = {.mechanism = mechanism};
    CK_RV result = CALL(sign_init, session, &chosen, key);
    if (result != CKR_OK) return result;
    return CALL(sign, session, (unsigned char *)data, length, signature, signature_length);
}
