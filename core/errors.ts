/** The errors of the library. Bad arguments are `TypeError` or `RangeError`; a cancelled call rejects with `signal.reason`. */

/** What an error is made with beside its message. */
export interface CoordErrorOptions {
  /** The driver's name, where a driver is involved. */
  driver?: string;
  /** What caused it, such as an error of a client library. */
  cause?: unknown;
}

/** The base of every error of this library that a caller may want to catch. */
export abstract class CoordError extends Error {
  /** A stable word for the kind of error, such as `"LOCK_LOST"`. */
  abstract readonly code: string;
  /** The driver's name, where a driver is involved. */
  readonly driver: string | undefined;

  /**
   * Makes an error.
   * @param message action first, then the present state
   */
  constructor(message: string, options: CoordErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.driver = options.driver;
  }
}

/** The backend lacks a characteristic that was asked for. */
export class DriverChosenPoorlyError extends CoordError {
  /** `"DRIVER_CHOSEN_POORLY"`. */
  override readonly code: string = "DRIVER_CHOSEN_POORLY";
  /** `"DriverChosenPoorlyError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "DriverChosenPoorlyError";
}

/** No driver is known, or can be loaded, for the scheme of a URL. */
export class UnknownDriverError extends CoordError {
  /** `"UNKNOWN_DRIVER"`. */
  override readonly code: string = "UNKNOWN_DRIVER";
  /** `"UnknownDriverError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "UnknownDriverError";
}

/** The backend cannot be reached, did not answer in time, or refused the connection. */
export class ConnectionError extends CoordError {
  /** `"CONNECTION"`. */
  override readonly code: string = "CONNECTION";
  /** `"ConnectionError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "ConnectionError";
}

/** The session ended; what was held on it is lost. */
export class SessionLostError extends CoordError {
  /** `"SESSION_LOST"`. */
  override readonly code: string = "SESSION_LOST";
  /** `"SessionLostError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "SessionLostError";
}

/** A lock is held no longer. */
export class LockLostError extends CoordError {
  /** `"LOCK_LOST"`. */
  override readonly code: string = "LOCK_LOST";
  /** `"LockLostError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "LockLostError";
}

/** A lock was taken away by `break()`. */
export class LockBrokenError extends LockLostError {
  /** `"LOCK_BROKEN"`. */
  override readonly code: string = "LOCK_BROKEN";
  /** `"LockBrokenError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "LockBrokenError";
}

/** A lock was not granted within `timeout`. */
export class AcquireTimeoutError extends CoordError {
  /** `"ACQUIRE_TIMEOUT"`. */
  override readonly code: string = "ACQUIRE_TIMEOUT";
  /** `"AcquireTimeoutError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "AcquireTimeoutError";
}

/** The group does not exist. */
export class GroupNotCreatedError extends CoordError {
  /** `"GROUP_NOT_CREATED"`. */
  override readonly code: string = "GROUP_NOT_CREATED";
  /** `"GroupNotCreatedError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "GroupNotCreatedError";
}

/** The group exists already. */
export class GroupAlreadyExistError extends CoordError {
  /** `"GROUP_ALREADY_EXIST"`. */
  override readonly code: string = "GROUP_ALREADY_EXIST";
  /** `"GroupAlreadyExistError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "GroupAlreadyExistError";
}

/** The group still has members. */
export class GroupNotEmptyError extends CoordError {
  /** `"GROUP_NOT_EMPTY"`. */
  override readonly code: string = "GROUP_NOT_EMPTY";
  /** `"GroupNotEmptyError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "GroupNotEmptyError";
}

/** The member id is taken by a live member. */
export class MemberAlreadyExistError extends CoordError {
  /** `"MEMBER_ALREADY_EXIST"`. */
  override readonly code: string = "MEMBER_ALREADY_EXIST";
  /** `"MemberAlreadyExistError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "MemberAlreadyExistError";
}

/** The member is not in the group, or no longer. */
export class MemberNotJoinedError extends CoordError {
  /** `"MEMBER_NOT_JOINED"`. */
  override readonly code: string = "MEMBER_NOT_JOINED";
  /** `"MemberNotJoinedError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "MemberNotJoinedError";
}

/** A value would not come back as it was given, or a stored one cannot be read. */
export class SerializationError extends CoordError {
  /** `"SERIALIZATION"`. */
  override readonly code: string = "SERIALIZATION";
  /** `"SerializationError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "SerializationError";
}

/**
 * The backend has no room for what was asked for: a value that is too large, connections, memory. The message names the
 * limit, and what raises it.
 */
export class CapacityError extends CoordError {
  /** `"CAPACITY"`. */
  override readonly code: string = "CAPACITY";
  /** `"CapacityError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "CapacityError";
}

/** The coordinator was closed. */
export class ClosedError extends CoordError {
  /** `"CLOSED"`. */
  override readonly code: string = "CLOSED";
  /** `"ClosedError"`, also in a program whose classes a minifier has renamed. */
  override readonly name: string = "ClosedError";
}
