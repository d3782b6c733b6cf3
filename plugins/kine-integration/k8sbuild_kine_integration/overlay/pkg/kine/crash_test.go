package kine

const victimDir = "KINE_TEST_VICTIM_DIR"

func beVictim(dir string) {}
