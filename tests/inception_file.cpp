/// Writes weights of Inception-v3 that follow a formula (golden/inception.py): inception_file FILE
#include "tensor/io/safetensors.h"
#include "tests/inception_weights.h"

int main(int, char** arguments) { damc::write_safetensors(arguments[1], damc::inception_weights()); }
