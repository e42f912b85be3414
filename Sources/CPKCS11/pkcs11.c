#include "CPKCS11.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

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
    gap get_session_info, get_operation_state, set_operation_state;
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

CK_RV mintmark_pkcs11_token(mintmark_pkcs11 *module, CK_SLOT_ID slot, CK_TOKEN_INFO *info) {
    return CALL(get_token_info, slot, info);
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

CK_RV mintmark_pkcs11_destroy(mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
    return CALL(destroy_object, session, object);
}

CK_RV mintmark_pkcs11_attributes(
    mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes,
    CK_ULONG count) {
    return CALL(get_attribute_value, session, object, attributes, count);
}

CK_RV mintmark_pkcs11_find(
    mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count,
    CK_OBJECT_HANDLE *objects, CK_ULONG *found) {
    CK_ULONG room = *found;
    *found = 0;
    CK_RV result = CALL(find_objects_init, session, template, count);
    if (result != CKR_OK) return result;
    // A module may hand out fewer at a time than there is room for.
    while (result == CKR_OK && *found < room) {
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
    mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_ULONG mechanism, CK_ATTRIBUTE *public_template,
    CK_ULONG public_count, CK_ATTRIBUTE *private_template, CK_ULONG private_count, CK_OBJECT_HANDLE *public_key,
    CK_OBJECT_HANDLE *private_key) {
    CK_MECHANISM chosen = {.mechanism = mechanism};
    return CALL(
        generate_key_pair, session, &chosen, public_template, public_count, private_template, private_count, public_key,
        private_key);
}

CK_RV mintmark_pkcs11_sign(
    mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_ULONG mechanism, CK_OBJECT_HANDLE key, const uint8_t *data,
    CK_ULONG length, uint8_t *signature, CK_ULONG *signature_length) {
    CK_MECHANISM chosen = {.mechanism = mechanism};
    CK_RV result = CALL(sign_init, session, &chosen, key);
    if (result != CKR_OK) return result;
    return CALL(sign, session, (unsigned char *)data, length, signature, signature_length);
}
