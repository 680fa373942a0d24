/** network */
export {};
