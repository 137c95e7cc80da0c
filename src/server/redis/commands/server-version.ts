/** The version of Redis whose commands this server speaks: clients choose by it what they send. */

export const serverVersion = '7.2.0'
