// The part of Cryptoki (PKCS #11, version 2.40) that signing needs. The module itself is loaded when the program runs.
//
// Names and numbers are the standard's; what is not used here keeps its place as a gap. On Unix a module packs its
// structures as C does.
#ifndef MINTMARK_CPKCS11_H
#define MINTMARK_CPKCS11_H

#include <stddef.h>
#include <stdint.h>

typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;
typedef CK_ULONG CK_SLOT_ID;
typedef CK_ULONG CK_SESSION_HANDLE;
typedef CK_ULONG CK_OBJECT_HANDLE;

// Results.
#define CKR_OK 0x0UL
#define CKR_SLOT_ID_INVALID 0x3UL
#define CKR_GENERAL_ERROR 0x5UL
#define CKR_ARGUMENTS_BAD 0x7UL
#define CKR_FUNCTION_FAILED 0x6UL
#define CKR_ATTRIBUTE_TYPE_INVALID 0x12UL
#define CKR_DEVICE_ERROR 0x30UL
#define CKR_DEVICE_REMOVED 0x32UL
#define CKR_FUNCTION_NOT_SUPPORTED 0x54UL
#define CKR_KEY_HANDLE_INVALID 0x60UL
#define CKR_MECHANISM_INVALID 0x70UL
#define CKR_OBJECT_HANDLE_INVALID 0x82UL
#define CKR_PIN_INCORRECT 0xA0UL
#define CKR_PIN_INVALID 0xA1UL
#define CKR_PIN_LEN_RANGE 0xA2UL
#define CKR_PIN_EXPIRED 0xA3UL
#define CKR_PIN_LOCKED 0xA4UL
#define CKR_SESSION_CLOSED 0xB0UL
#define CKR_SESSION_COUNT 0xB1UL
#define CKR_SESSION_HANDLE_INVALID 0xB3UL
#define CKR_TOKEN_NOT_PRESENT 0xE0UL
#define CKR_TOKEN_NOT_RECOGNIZED 0xE1UL
#define CKR_USER_ALREADY_LOGGED_IN 0x100UL
#define CKR_USER_NOT_LOGGED_IN 0x101UL
#define CKR_USER_PIN_NOT_INITIALIZED 0x102UL
#define CKR_CRYPTOKI_ALREADY_INITIALIZED 0x191UL

// Flags.
#define CKF_RW_SESSION 0x2UL
#define CKF_SERIAL_SESSION 0x4UL

// Objects, keys and their attributes.
#define CKO_PUBLIC_KEY 2UL
#define CKO_PRIVATE_KEY 3UL
#define CKK_RSA 0UL
#define CKK_EC 3UL
#define CKA_CLASS 0x0UL
#define CKA_TOKEN 0x1UL
#define CKA_PRIVATE 0x2UL
#define CKA_LABEL 0x3UL
#define CKA_KEY_TYPE 0x100UL
#define CKA_ID 0x102UL
#define CKA_SENSITIVE 0x103UL
#define CKA_SIGN 0x108UL
#define CKA_VERIFY 0x10AUL
#define CKA_MODULUS 0x120UL
#define CKA_MODULUS_BITS 0x121UL
#define CKA_PUBLIC_EXPONENT 0x122UL
#define CKA_EXTRACTABLE 0x162UL
#define CKA_NEVER_EXTRACTABLE 0x164UL
#define CKA_ALWAYS_SENSITIVE 0x165UL
#define CKA_EC_PARAMS 0x180UL
#define CKA_EC_POINT 0x181UL

// Mechanisms.
#define CKM_RSA_PKCS_KEY_PAIR_GEN 0x0UL
#define CKM_RSA_PKCS 0x1UL
#define CKM_EC_KEY_PAIR_GEN 0x1040UL
#define CKM_ECDSA 0x1041UL

// A module that has been loaded; it stays until the process ends.
typedef struct mintmark_pkcs11 mintmark_pkcs11;

// Loads a module and looks for its functions. Returns it, or NULL with the reason in `reason`.
mintmark_pkcs11 *mintmark_pkcs11_load(const char *path, char *reason, size_t reason_length);

// The functions of the standard, of a loaded module. CKR_FUNCTION_NOT_SUPPORTED where it has none.

// Called with locks of the operating system, so that the other functions may be called from any thread.
CK_RV mintmark_pkcs11_initialize(mintmark_pkcs11 *module);
CK_RV mintmark_pkcs11_slots(mintmark_pkcs11 *module, CK_SLOT_ID *slots, CK_ULONG *count);
// The label of the token in a slot, padded with spaces. CKR_TOKEN_NOT_RECOGNIZED for one that was never initialized.
CK_RV mintmark_pkcs11_label(mintmark_pkcs11 *module, CK_SLOT_ID slot, uint8_t label[32]);
CK_RV mintmark_pkcs11_open(mintmark_pkcs11 *module, CK_SLOT_ID slot, CK_ULONG flags, CK_SESSION_HANDLE *session);
CK_RV mintmark_pkcs11_close(mintmark_pkcs11 *module, CK_SESSION_HANDLE session);
CK_RV mintmark_pkcs11_close_all(mintmark_pkcs11 *module, CK_SLOT_ID slot);
CK_RV mintmark_pkcs11_login(mintmark_pkcs11 *module, CK_SESSION_HANDLE session, const uint8_t *pin, CK_ULONG length);
// CKR_OK when the user is logged in, and CKR_USER_NOT_LOGGED_IN when not.
CK_RV mintmark_pkcs11_logged_in(mintmark_pkcs11 *module, CK_SESSION_HANDLE session);
CK_RV mintmark_pkcs11_destroy(mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object);
// Reads one attribute. `*length` is the room on the way in and the length on the way out.
CK_RV mintmark_pkcs11_attribute(
    mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG type, uint8_t *value,
    CK_ULONG *length);

// Templates say what objects have, or are to have. They are given as bytes: for each attribute its type, the length of
// its value and the value, each of the three beginning at a multiple of the size of a number.
#define MINTMARK_PKCS11_MAXIMUM_ATTRIBUTES 16

// How this machine keeps a number.
void mintmark_pkcs11_write(CK_ULONG number, uint8_t bytes[sizeof(CK_ULONG)]);

// Finds up to `*found` objects, and says how many there were.
CK_RV mintmark_pkcs11_find(
    mintmark_pkcs11 *module, CK_SESSION_HANDLE session, const uint8_t *template, size_t length,
    CK_OBJECT_HANDLE *objects, CK_ULONG *found);
CK_RV mintmark_pkcs11_generate(
    mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_ULONG mechanism, const uint8_t *public_template,
    size_t public_length, const uint8_t *private_template, size_t private_length, CK_OBJECT_HANDLE *public_key,
    CK_OBJECT_HANDLE *private_key);
// Begins and ends one signature. `*signature_length` is the room on the way in and the length on the way out.
CK_RV mintmark_pkcs11_sign(
    mintmark_pkcs11 *module, CK_SESSION_HANDLE session, CK_ULONG mechanism, CK_OBJECT_HANDLE key, const uint8_t *data,
    CK_ULONG length, uint8_t *signature, CK_ULONG *signature_length);

#endif
