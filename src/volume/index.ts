/** volume */
export {};
