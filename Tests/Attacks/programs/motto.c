// The library of the trusted program's dynamically linked twin.
const char *motto(void) { return "trusted"; }
