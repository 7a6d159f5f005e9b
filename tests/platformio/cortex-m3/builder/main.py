# SPDX-License-Identifier: Apache-2.0
"""Builds with the compiler that is installed, as the platforms of boards do with that of their package."""

from SCons.Script import Default, DefaultEnvironment

env = DefaultEnvironment()
env.Replace(AR="arm-none-eabi-ar", CC="arm-none-eabi-gcc", CXX="arm-none-eabi-g++", RANLIB="arm-none-eabi-ranlib")
cpu = ["-mthumb", "-mcpu=cortex-m3"]
env.Append(
    CCFLAGS=[*cpu, "-Os", "-ffunction-sections", "-fdata-sections"],
    LINKFLAGS=[*cpu, "-nostdlib", "-Wl,--gc-sections", "-T", "$PROJECT_DIR/board.ld"],
    LIBS=["gcc"],
)
Default(env.BuildProgram())
